#include "src/base/seams.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace stampede {

namespace {

class SystemClock final : public Clock {
 public:
  Instant now() override { return std::chrono::steady_clock::now(); }
  UnixTime unix_time() override { return std::time(nullptr); }
};

class SystemRandom final : public Random {
 public:
  void fill(MutableBytes out) override {
    while (!out.empty()) {
      const ssize_t got = ::getrandom(out.data(), out.size(), 0);
      if (got < 0) {
        if (errno == EINTR) continue;
        std::abort();  // no randomness, no keys: there is nothing sensible to go on with
      }
      out = out.subspan(static_cast<std::size_t>(got));
    }
  }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

Random& system_random() {
  static SystemRandom random;
  return random;
}

std::uint64_t Random::number() {
  std::array<std::byte, 8> bytes{};
  fill(bytes);
  return load_le<std::uint64_t>(bytes);
}

std::uint64_t Random::below(std::uint64_t bound) {
  // Lemire's multiply-shift; the bias of 2^-64 × bound does not matter for choices.
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(number()) * bound >> 64);
}

void SeededRandom::fill(MutableBytes out) {
  while (!out.empty()) {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    const std::size_t n = std::min(out.size(), sizeof z);
    std::memcpy(out.data(), &z, n);
    out = out.subspan(n);
  }
}

std::string to_rfc3339(UnixTime time) {
  const std::time_t seconds = time;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), n};
}

std::optional<UnixTime> parse_rfc3339(std::string_view text) {
  const std::string whole(text);
  std::tm parts{};
  const char* end = ::strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr) return std::nullopt;
  const UnixTime time = ::timegm(&parts);
  return to_rfc3339(time) == text ? std::optional(time) : std::nullopt;
}

}  // namespace stampede
