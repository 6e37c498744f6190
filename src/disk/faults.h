// The seam of disks: where a test makes an operation fail, or move less than it should, before the kernel gets to see it.
#pragma once

#include <cstdint>
#include <functional>

namespace stampede::disk {

struct Operation {
  enum class Kind : std::uint8_t { read, write, zero, discard, flush };
  Kind kind = Kind::read;
  std::uint64_t at = 0;
  std::uint64_t size = 0;
};

struct Fault {
  int error = 0;                    // an errno instead of the operation
  std::uint64_t most = UINT64_MAX;  // bytes that are moved at most; a multiple of the disk's alignment
};

// Asked before every operation on the disk, on any thread; empty outside tests.
using Faults = std::function<Fault(const Operation&)>;

inline Fault fault_of(const Faults& faults, const Operation& operation) { return faults ? faults(operation) : Fault{}; }

}  // namespace stampede::disk
