// The depot: the long-running service that enrols nodes, answers for images, is the origin of their swarms, and keeps
// receipts.
//
// One loop thread does the protocol; the catalog and manifests have a thread of their own, and so have packs that are read,
// and what is pushed. Memory: pushes (push_intake.h); kMaxSessions connections with at most net::kQueueLimit and a span or
// object queued each, and the manifests of the images that are being deployed. Of one key at most kMaxOfAKey connections are
// kept, of machines without a certificate kMaxStrangers; the oldest gives way.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/store.h"
#include "src/service/cast_options.h"
#include "src/service/push_intake.h"
#include "src/service/site.h"
#include "transport/net/endpoint.h"

namespace stampede::service {

inline constexpr std::size_t kMaxSessions = 4096;
inline constexpr std::size_t kMaxOfAKey = 4;
inline constexpr std::size_t kMaxStrangers = 256;

struct DepotOptions {
  net::Endpoint listen{{}, net::kDepotPort};
  std::optional<CastOptions> multicast = std::nullopt;
  Size push_reserve = kPushReserve;
};

class Depot {
 public:
  // Errors: address_in_use, usage. The store outlives the depot.
  static Result<std::unique_ptr<Depot>> start(cache::Store& store, const Site& site, const DepotOptions& options);
  virtual ~Depot() = default;
  virtual net::Endpoint local() const = 0;
  // The multicast streams of the images that are being deployed. Any thread but the depot's own.
  virtual std::vector<net::CastStatus> streams() = 0;
};

}  // namespace stampede::service
