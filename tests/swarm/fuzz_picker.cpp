#include <cstdio>
#include <cstdlib>

#include "tests/swarm/events.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string problem = stampede::swarm::run_picker(std::as_bytes(std::span(data, size)));
  if (problem.empty()) return 0;
  std::fprintf(stderr, "picker: %s\n", problem.c_str());
  std::abort();
}
