// What a request to the depot's HTTP side asks for: these paths and no others.
//
//   /casync/NAME:TAG.caibx                     the image as a casync index; ":TAG" may be left out, as with `image show`
//   /casync/NAME@ID.caibx                      the very image; 8 to 64 digits of its id (chunker/image_name.h)
//   /casync/store/xxxx/<64 hex>.cacnk          a chunk by its id, as a zstd frame; xxxx are the id's first four digits
//   /casync/default.castr/xxxx/<64 hex>.cacnk  the same: where casync looks when it was told no store
//   /casync/fixed/NAME:TAG.caibx               the image in pieces of one size, for who has a seed (fixed_shelf.h)
//   /casync/fixed/default.castr/xxxx/…         its chunks; /casync/store has them too
//   /manifest/<64 hex>                         an image's root record (chunker/manifest.h); its segments are chunks
//
// Characters may be percent-encoded; a slash that is counts as a part of a name. Pure: no store is asked.
#pragma once

#include <string_view>
#include <variant>

#include "chunker/image_name.h"

namespace stampede::service {

struct AskIndex {
  chunker::ImageRef image;
  bool fixed = false;  // in pieces of one size
  bool operator==(const AskIndex&) const = default;
};
struct AskChunk {
  chunker::ChunkId id;
  bool operator==(const AskChunk&) const = default;
};
struct AskManifest {
  chunker::ImageId image;
  bool operator==(const AskManifest&) const = default;
};
struct AskRefused {
  unsigned status = 404;  // or 400
  std::string_view why;
  bool operator==(const AskRefused&) const = default;
};
using HttpAsk = std::variant<AskIndex, AskChunk, AskManifest, AskRefused>;

inline constexpr std::size_t kMaxTarget = 1024;

// `target` as it stands in the request line: hostile bytes, "/path" or "http://host/path".
HttpAsk parse_target(std::string_view target);

}  // namespace stampede::service
