// What a receiver says to the sender, over its own reliable line, and what the sender says to receivers: how often to
// report, and what will not come by multicast. Reports are the wire's own messages: nothing is to be translated.
//
// Few report everything quickly ("eager": a random sample, all of them while the group is small); the others report at long
// random intervals what still lacks by then and what they got. Both shares follow from the group's size and the stream's
// rate, so that reports stay below half a per cent of the stream.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "src/base/seams.h"
#include "transport/wire/messages.h"

namespace stampede::multicast {

// Spans first … first+count-1.
using wire::SpanRun;
// A generation lacks this many symbols, whichever.
using Lack = wire::SymbolLack;
using wire::kMaxLacks;  // in one report; the rest waits for the next
using wire::kMaxRuns;

// What is meant: sequence: highest seen, 0 if none: all that follows is as of then. loss: packets lost lately, before
// repair. backlog: spans received that wait for the disk. settled: since the last report: spans held, or not expected from
// multicast any more.
using Report = wire::MulticastReport;

// On the wire, with what TLS, TCP and IP add to it.
std::size_t wire_size(const Report& report);

// How to report; announced by the sender to every member when it changes much.
struct Policy {
  std::uint16_t eager = 65535;  // share of the members that report quickly, of 65,535
  Duration quick{};             // between their reports, on average
  Duration slow{};              // between those of the others, on average
  // A span of which nothing has come for so long will not be repaired.
  Duration stale() const { return 3 * slow + std::chrono::seconds(1); }
  // Whoever got or lacks something has said so by then.
  Duration settling() const { return all_eager() ? std::chrono::milliseconds(500) + 4 * quick : 2 * slow; }
  // Without news a member says at least that it is there.
  Duration sign_of_life() const { return all_eager() ? slow / 4 : slow; }
  // Who has said nothing for so long lacks nothing, until it is heard again. A dead process is known at once, by its line.
  Duration silence() const { return std::max<Duration>(std::chrono::seconds(3), 4 * sign_of_life()); }
  bool all_eager() const { return eager == 65535; }
  bool operator==(const Policy&) const = default;
};
Policy policy_for(std::size_t members, double bytes_per_second);

// To a member, when there is something to say.
struct Answer {
  std::vector<std::uint32_t> given_up;  // spans that it lacks and will not get by multicast: to be asked for elsewhere
};

}  // namespace stampede::multicast
