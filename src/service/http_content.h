// What the depot's HTTP side answers: images of a store as casync indexes, and their chunks. Nothing is kept converted: an
// index is made as it is sent, a chunk goes out as it rests in its pack, raw ones and zeros in a zstd frame. Thread-safe,
// and reads packs: not for a loop's thread.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "cache/store.h"
#include "src/service/fixed_shelf.h"
#include "src/service/http_target.h"

namespace stampede::service {

// The largest body that is held whole; the index is made in parts.
inline constexpr Size kMaxHttpBody = 1_MiB;

struct HttpAnswer {
  unsigned status = 200;
  std::string type = "application/octet-stream";
  std::string tag;         // what ETag is; none: not to be kept
  bool for_ever = false;   // it can never be another
  std::uint64_t size = 0;  // of the whole body
  Bytes body;
  std::move_only_function<Result<Bytes>()> parts = {};  // instead of a body: the next part of it, empty at the end
};

class HttpContent {
 public:
  explicit HttpContent(cache::Store& store) : store_(store), fixed_(store) {}
  // Answers that take long come back.
  void stop() { fixed_.stop(); }
  // `from`: who asks, for the log.
  HttpAnswer answer(const HttpAsk& ask, std::string_view from);

 private:
  HttpAnswer index(const AskIndex& ask, std::string_view from);
  Result<HttpAnswer> index_of(const chunker::ImageId& image);
  Result<HttpAnswer> fixed_index_of(const chunker::ImageId& image);
  Result<std::uint64_t> count(const chunker::ImageId& image);
  Result<HttpAnswer> chunk(const chunker::ChunkId& id);
  Result<HttpAnswer> manifest(const chunker::ImageId& image);

  cache::Store& store_;
  FixedShelf fixed_;
  std::mutex mutex_;
  std::map<chunker::ImageId, std::uint64_t> counts_;  // of chunks; guarded by mutex_
};

// A body of one line.
HttpAnswer http_refusal(unsigned status, std::string_view why);

}  // namespace stampede::service
