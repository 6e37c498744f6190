// A selector is refused, or its text is parsed to the same again.
#include <cstdlib>

#include "src/base/bytes.h"
#include "src/disk/selector.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  const auto selector = disk::Selector::parse(as_text(std::as_bytes(std::span(data, size))));
  if (!selector) return 0;
  const auto again = disk::Selector::parse(selector->text());
  if (selector->conditions().empty() || !again || *again != *selector) std::abort();
  return 0;
}
