// A selector is refused, or says again what was parsed.
#include <cstdlib>

#include "src/disk/guard.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  const std::string_view text = as_text(std::as_bytes(std::span(data, size)));
  const auto selector = disk::Selector::parse(text);
  if (selector && (selector->text() != text || selector->value.empty())) std::abort();
  return 0;
}
