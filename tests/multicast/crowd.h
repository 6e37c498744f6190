// A carousel and thousands of receivers in virtual time. The receivers are models: they keep what they lack and report it
// as the policy says (report.h), without symbols' bytes, so that only losses cost work. The carousel is the real one.
#pragma once

#include <cstdint>

namespace stampede::multicast {

struct CrowdScenario {
  std::uint64_t seed = 1;
  std::uint32_t members = 10'000;
  std::uint32_t spans = 1000;
  std::uint32_t deaths = 100;
  std::uint32_t late = 100;  // join while the stream runs
};

struct CrowdOutcome {
  std::uint32_t complete = 0;
  double seconds = 0;
  double ideal = 0;
  double sent = 0;      // bytes by multicast over bytes needed
  double unicast = 0;   // images sent by unicast, all members together
  double feedback = 0;  // of the stream
};

CrowdOutcome simulate(const CrowdScenario& scenario);

}  // namespace stampede::multicast
