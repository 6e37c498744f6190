// What the tests of this room share: a folder that goes away, loop devices, random bytes, a target with its model.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "src/base/bytes.h"
#include "src/base/file.h"
#include "src/base/seams.h"
#include "src/disk/guard.h"
#include "tests/scratch.h"

namespace stampede::disk {

// Runs a shell command; its exit code and output, both streams.
struct Ran {
  int code = 0;
  std::string output;
};
Ran run(const std::string& command);

// A file attached as a loop device with direct I/O; detached and removed at the end.
class LoopDevice {
 public:
  // Nothing where this machine has no loop devices to give; in CI (CI=true) that fails the test.
  static std::unique_ptr<LoopDevice> make(const std::filesystem::path& file, Size size, std::uint32_t sector = 512);
  ~LoopDevice();
  const std::string& path() const { return path_; }
  std::string name() const { return std::filesystem::path(path_).filename(); }

 private:
  explicit LoopDevice(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

#define NEED_LOOP(device) \
  if (!(device)) GTEST_SKIP() << "no loop device can be attached here"

Bytes random_bytes(Random& random, std::size_t size);
// As the page cache has it.
Bytes content_of(const std::filesystem::path& path);
void put(const std::filesystem::path& path, ByteView bytes);

// A file target as the guard would give it, of whatever content.
GuardedDisk guarded_file(const std::filesystem::path& path, Size size, bool created = false);
// A loop device, past the guard.
GuardedDisk guarded_device(const std::string& path, Size size, std::uint32_t sector = 512);

}  // namespace stampede::disk
