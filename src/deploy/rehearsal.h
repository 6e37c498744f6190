// A deployment without a disk: receives an image as a target would, verifies every chunk and throws it away. Says, before
// the night, whether multicast arrives at this machine, at which rate and loss.
//
// Serves nothing to others. Memory: kRehearsalCredit spans under way, and those of multicast (transport/net/catcher.h).
#pragma once

#include <functional>

#include "src/deploy/access.h"

namespace stampede::deploy {

inline constexpr std::uint32_t kRehearsalCredit = 24;

struct RehearsalOptions : AccessOptions {
  chunker::ImageRef image;
  // About ten times a second, from the calling thread.
  std::function<void(const net::SwarmStatus&, Size verified, Size total)> progress = [](const auto&, Size, Size) {};
};

struct Rehearsal {
  Size data;             // plain bytes, all verified
  double joining = 0;    // seconds, until the swarm was joined
  double receiving = 0;  // from then on until all was verified
  Instant began;         // of receiving
  net::SwarmStatus status;
};

// Errors: those of a deployment up to its plan and of its transfer.
Result<Rehearsal> rehearse(const RehearsalOptions& options);

}  // namespace stampede::deploy
