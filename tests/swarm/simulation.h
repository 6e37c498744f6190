// A swarm in virtual time: one depot with an Origin, nodes with Pickers, links with rates and latency. Deterministic from
// the seed. Data goes through the sender's uplink and the receiver's downlink, each a queue served in order, span by span;
// control messages take the latency alone. "Have" is announced in batches. Every ask is checked against the picker's
// contract, and so is what is held at the end.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "transport/swarm/origin.h"
#include "transport/swarm/picker.h"

namespace stampede::swarm {

struct NodeSpec {
  double rate = 1;  // of the line, both ways
  bool serves = true;
  bool bad = false;  // every span that it serves fails verification
  Duration joins{};
  std::optional<Duration> dies;     // the connection breaks
  std::optional<Duration> freezes;  // connected, but silent from here on
  std::optional<Duration> thaws;
};

struct Scenario {
  std::string name;
  std::uint64_t seed = 1;
  std::uint32_t spans = 500;
  double line = 125e6;  // bytes a second
  std::vector<NodeSpec> nodes;
  std::uint32_t fan_out = 16;  // connections that a node opens
  std::uint32_t credit = 32;
  std::optional<Duration> depot_dies;
  std::optional<Duration> depot_returns;
  bool depot_dies_when_all_is_out = false;  // at the moment when the nodes together hold every span
  Duration limit = std::chrono::minutes(5);

  Duration ideal() const {
    return Duration(static_cast<Duration::rep>(static_cast<double>(spans) * (1 << 20) / line * 1e9));
  }
};

struct Outcome {
  std::vector<std::optional<Duration>> took;  // from joining to complete, by node
  std::vector<std::uint32_t> held;
  std::uint64_t depot_sent = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t events = 0;
  std::string violation;  // of the contract; empty if none

  // Of the nodes that completed.
  Duration slowest() const;
  std::size_t complete() const;
};

Outcome simulate(const Scenario& scenario);
// One line: elapsed against the ideal, copies that left the depot, duplicates.
void report(const Scenario& scenario, const Outcome& outcome);

}  // namespace stampede::swarm
