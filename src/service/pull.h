// A pull: an image of another depot comes into this machine's store, with its signed record. Only what the store lacks is
// fetched; it is packed as it came, after it was opened and verified. What was packed stays when a pull ends early: the next
// one fetches the rest.
//
// Memory: the manifest twice for a moment (48 bytes a chunk each), then its spans; kPullCredit spans of 1 MiB under way, one
// more for each core while it is opened; a pack's entries (26 MiB).
#pragma once

#include <optional>

#include "cache/store.h"
#include "src/deploy/access.h"

namespace stampede::service {

inline constexpr std::uint32_t kPullCredit = 32;

struct PullOptions : deploy::AccessOptions {
  chunker::ImageName image;
  // Under this name instead, signed by this store's key: the record of the other depot is about its own name.
  std::optional<chunker::ImageName> as;
  bool move = false;  // the name may be another image here, and is this one afterwards
  // Besides those that the store accepts and those that the join token names.
  std::vector<trust::PublicKey> accept;
  // Plain bytes that are packed, of those that were lacking.
  std::function<void(Size done, Size total)> progress = [](Size, Size) {};
};

struct Pulled {
  chunker::TagRecord record;
  Size data;                                        // plain bytes of the image's chunks
  Size lacking;                                     // of those that the store lacked
  Size fetched;                                     // sealed bytes
  bool tagged = false;                              // false: the name was this image already
  std::optional<trust::PublicKey> new_signer = {};  // that the store accepts from now on
};

// Where the record's signer was not accepted by the store, but is named by the join token (whoever made that vouches for it)
// or by `accept`, the store accepts it from now on, with an entry in the audit log. Errors: those of Access; signer_unknown;
// tag_taken; no_space, …
Result<Pulled> pull_image(cache::Store& store, const PullOptions& options);

}  // namespace stampede::service
