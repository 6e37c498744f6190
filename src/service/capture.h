// A capture: a disk of this machine, or a file, becomes an image of a depot, and nothing is kept here. It is cut, hashed and
// sealed on this machine; only chunks that the depot lacks are sent; the depot signs, since a machine has no key that does.
//
// Memory: an import's (chunker/package.h), and what is under way (transport/net/push_sink.h).
#pragma once

#include "src/deploy/access.h"
#include "src/service/packaging.h"

namespace stampede::service {

struct CaptureOptions : deploy::AccessOptions {
  chunker::ImageName name;
  bool move = false;  // the name may be another image at the depot, and is this one afterwards
  PackagingOptions packaging = {};
};

struct Captured {
  chunker::TagRecord record;  // as the depot signed it
  chunker::ImportReport report;
  std::vector<std::string> taken_whole;  // see Imported
  Size sent;                             // sealed bytes that the depot lacked
};

// Nothing is read before the depot has said that it takes and signs it. Errors: those of a push (push.h), of import_image().
Result<Captured> capture_image(const ImageSource& source, const CaptureOptions& options);

}  // namespace stampede::service
