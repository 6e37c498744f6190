#include <cstdio>
#include <cstdlib>

#include "tests/multicast/events.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string problem = stampede::multicast::run_carousel(std::as_bytes(std::span(data, size)));
  if (problem.empty()) return 0;
  std::fprintf(stderr, "carousel: %s\n", problem.c_str());
  std::abort();
}
