// The clock and random seams: nothing else in the project asks the system for time or randomness, so a simulation
// replaces both and repeats exactly from a printed seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "src/base/bytes.h"

namespace stampede {

using Duration = std::chrono::nanoseconds;
// Monotonic; its zero means nothing.
using Instant = std::chrono::time_point<std::chrono::steady_clock, Duration>;
// Seconds since 1970-01-01 UTC.
using UnixTime = std::int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() = 0;
  virtual UnixTime unix_time() = 0;
};

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableBytes out) = 0;

  std::uint64_t number();
  // Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound);
};

// The system's clock and getrandom(2). Thread-safe, live for ever.
Clock& system_clock();
Random& system_random();

// Reproducible (splitmix64); for simulations and tests, and for choices that need no secrecy.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableBytes out) override;

 private:
  std::uint64_t state_;
};

// "2026-11-02T14:03:09Z"
std::string to_rfc3339(UnixTime time);
// Nothing where it is not written just so: "2026-11-02T14:03:09Z".
std::optional<UnixTime> parse_rfc3339(std::string_view text);

}  // namespace stampede
