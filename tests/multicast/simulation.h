// A carousel and its receivers in virtual time, symbol by symbol. Deterministic from the seed.
//
// Packets leave at the line's rate and arrive at once or never; reports and answers take kLatency. A span that a receiver
// names as stale comes by unicast, whose bytes are counted, and so does all that a receiver lacks once the carousel has
// nothing to do.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "src/base/seams.h"

namespace stampede::multicast {

struct NodeSpec {
  double loss = 0;                // of the packets, each for itself
  std::uint32_t burst = 0;        // and so many in a row, at a random place
  std::uint32_t burst_every = 0;  // in every so many
  Duration joins{};
  std::optional<Duration> dies{};
  std::optional<Duration> freezes{};  // takes nothing and says nothing
  std::optional<Duration> thaws{};
};

struct Scenario {
  std::string name;
  std::uint64_t seed = 1;
  std::uint32_t spans = 300;
  std::size_t span_size = 120'000;  // on average
  std::size_t symbol_size = 512;
  double line = 125e6 * 512 / 1500;  // symbol bytes a second: the packets a second of 1 Gbit/s
  std::vector<NodeSpec> nodes;
  Duration limit = std::chrono::minutes(2);

  Duration ideal() const {
    return Duration(static_cast<Duration::rep>(static_cast<double>(spans) * static_cast<double>(span_size) / line * 1e9));
  }
};

struct Outcome {
  std::vector<std::optional<Duration>> took;  // from the start to complete, by node
  std::uint64_t needed = 0;                   // bytes of the spans
  std::uint64_t multicast = 0;                // bytes of symbols
  std::uint64_t unicast = 0;
  std::uint64_t feedback = 0;
  std::uint64_t unasked = 0;  // symbols of parity
  std::uint64_t repair = 0;
  std::uint64_t peak = 0;  // memory of a receiver
  std::string violation;

  double sent() const { return static_cast<double>(multicast + unicast) / static_cast<double>(needed); }
  std::size_t complete() const;
  Duration slowest(std::optional<std::size_t> except = {}) const;
};

Outcome simulate(const Scenario& scenario);
void report(const Scenario& scenario, const Outcome& outcome);

}  // namespace stampede::multicast
