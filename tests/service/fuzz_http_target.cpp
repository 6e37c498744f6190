#include <cstdlib>

#include "src/service/http_target.h"

// What is asked can be asked again by its plainest path, and is the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede::service;
  const HttpAsk ask = parse_target({reinterpret_cast<const char*>(data), size});
  std::string plain;
  if (const auto* index = std::get_if<AskIndex>(&ask))
    plain = (index->fixed ? "/casync/fixed/" : "/casync/") + index->image.text() + ".caibx";
  if (const auto* chunk = std::get_if<AskChunk>(&ask))
    plain = "/casync/store/" + to_string(chunk->id).substr(0, 4) + "/" + to_string(chunk->id) + ".cacnk";
  if (const auto* manifest = std::get_if<AskManifest>(&ask)) plain = "/manifest/" + to_string(manifest->image);
  if (!plain.empty() && parse_target(plain) != ask) std::abort();
  if (const auto* refused = std::get_if<AskRefused>(&ask))
    if (refused->status != 400 && refused->status != 404) std::abort();
  return 0;
}
