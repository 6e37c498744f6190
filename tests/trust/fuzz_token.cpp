// Join tokens and public keys as people paste them.
#include "src/trust/token.h"

using namespace stampede;
using namespace stampede::trust;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto token = parse_token(text); token && text.find(encode(*token)) == std::string_view::npos) __builtin_trap();
  if (const auto key = parse_public_key(text); key && to_string(*key) != text) __builtin_trap();
  return 0;
}
