// The depot's HTTP side, `serve --http`: casync and desync pull images from it, and caches keep what it says is for ever.
// Plain HTTP/1.1 without any check of who asks: who can reach it can read every image.
//
// It has threads of its own, which also read the packs: neither the depot's loop nor its workers wait for it.
//
// Bounds: kMaxHttpConnections, kMaxHttpOfAnAddress of them from one address; a request's head of kMaxHttpHead bytes that has
// to be there within kHttpHeadPatience; a part of an answer has to be taken within kHttpWritePatience. Where no place is
// free the connection that has waited longest for a request gives way. Memory: kMaxHttpBody for each connection.
#pragma once

#include <chrono>
#include <memory>

#include "cache/store.h"
#include "src/base/seams.h"
#include "transport/net/endpoint.h"

namespace stampede::service {

inline constexpr std::size_t kMaxHttpConnections = 256;
inline constexpr std::size_t kMaxHttpOfAnAddress = 64;
inline constexpr std::uint32_t kMaxHttpHead = 8192;
inline constexpr Duration kHttpHeadPatience = std::chrono::seconds(20);
inline constexpr Duration kHttpWritePatience = std::chrono::seconds(60);
// What is being answered may be finished when it stops.
inline constexpr Duration kHttpStopPatience = std::chrono::seconds(3);

struct HttpOptions {
  net::Endpoint listen;
  Duration head_patience = kHttpHeadPatience;
  std::size_t connections = kMaxHttpConnections;
  std::size_t of_an_address = kMaxHttpOfAnAddress;
};

class HttpBridge {
 public:
  // Errors: address_in_use, usage. The store outlives it.
  static Result<std::unique_ptr<HttpBridge>> start(cache::Store& store, const HttpOptions& options);
  // Nobody new is taken; waits for the answers under way, kHttpStopPatience at most.
  virtual ~HttpBridge() = default;
  virtual net::Endpoint local() const = 0;
};

}  // namespace stampede::service
