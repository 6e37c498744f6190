// The image of a deployment and the disk that it is to go onto: found, with nothing against them, and held. Nothing is
// written.
#pragma once

#include "src/deploy/access.h"
#include "src/deploy/deployment.h"
#include "src/deploy/former.h"

namespace stampede::deploy {

struct Reserved {
  chunker::TagRecord record;
  disk::GuardedDisk disk;
  std::size_t disks = 0;  // of the machine, of which the selector matches this one alone
  std::string deployed;   // onto it by this site, for which it may be replaced: "debian:11 (deployment 0f3a…)"; else empty
  std::optional<chunker::ImageId> former;  // that the disk's receipt names, whether or not it may be replaced for it
};

// `access` is connected. `out` has the record as soon as it is known. Errors: those of resolve(), check_fit() and
// open_guarded(); cannot_customise.
Result<> reserve(Access& access, const Options& options, Reserved& out);

// That image, where the depot still has it, it is no larger than the disk, and there is memory for it beside the plan.
std::optional<Former> read_former(Access& access, const chunker::ImageId& former, Size disk, const Plan& plan);

// A manifest and what remains beside it for the cache.
struct ReadImage {
  chunker::Manifest manifest;
  Size cache;
};
// As the record says. Errors: those of Access::manifest(); busy where it takes more memory than there may be, known before
// most of it is fetched.
Result<ReadImage> read_image(Access& access, const Options& options, const chunker::TagRecord& record);

}  // namespace stampede::deploy
