// A push: an image of this machine's store into a depot, where it has the same name and the same signed record. Only what
// the depot lacks is sent, as it rests here.
//
// Memory: the manifest, and what is under way (transport/net/push_sink.h).
#pragma once

#include "cache/store.h"
#include "src/deploy/access.h"
#include "transport/net/push_sink.h"

namespace stampede::service {

struct PushOptions : deploy::AccessOptions {
  chunker::ImageName image;
  bool move = false;  // the name may be another image at the depot, and is this one afterwards
  // Asked and sent, of the image's data; plain bytes.
  std::function<void(Size done, Size total)> progress = [](Size, Size) {};
};

struct Pushed {
  chunker::TagRecord record;
  Size data;  // plain bytes of the image
  Size sent;  // sealed bytes that the depot lacked
  std::uint64_t chunks = 0;
};

// Errors: not_found, signer_unknown, … as find_image(); not_permitted, tag_taken, no_space of the depot; those of the line.
Result<Pushed> push_image(cache::Store& store, const PushOptions& options);

// Puts an image into the sink by `put_all`, again where the depot was lost meanwhile, and ends the push.
Result<chunker::SignedTagRecord> push_all(net::PushSink& sink,
                                          const std::function<Result<chunker::SignedTagRecord>()>& put_all);

// Begins a push on a connected line; where the node may not push and there is a token, that is shown and may grant it.
Result<> open_push(deploy::Access& access, net::PushSink& sink);

}  // namespace stampede::service
