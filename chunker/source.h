// The doors through which cache and transport meet: where sealed chunks come from, where they go, and the one inbox for
// spans, whatever path brought them (depot, peer, multicast).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "chunker/manifest.h"
#include "chunker/types.h"
#include "src/base/buffer.h"
#include "src/base/error.h"

namespace stampede::chunker {

// A span as it travels: the chunks' sealed bytes one after another, in the manifest's order.
struct SealedSpan {
  struct Part {
    Codec codec = Codec::raw;
    std::uint32_t sealed_size = 0;
  };
  SpanIndex index;
  std::vector<Part> parts;
  Buffer bytes;
};

// Gives sealed chunks by id. Thread-safe.
class ChunkSource {
 public:
  virtual ~ChunkSource() = default;
  // Errors: not_found; store_damaged, read_failed. The bytes are as stored: the caller opens and verifies them.
  virtual Result<SealedChunk> get(const ChunkId& id) = 0;
  virtual bool has(const ChunkId& id) = 0;
  // The chunks of one span at once (the index is left to the caller). Here by get() for each; a store does better.
  // Also content_altered, where a chunk is not as long as it should be.
  virtual Result<SealedSpan> gather(std::span<const SpanChunk> chunks);
};

// Takes sealed chunks. Thread-safe. A chunk that is there already is dropped.
class ChunkSink {
 public:
  virtual ~ChunkSink() = default;
  virtual bool has(const ChunkId& id) = 0;
  // The same of many, in their order. Here by has() for each; a store does better.
  virtual std::vector<bool> have(std::span<const ChunkId> ids);
  // Not durable before the sink's own commit.
  virtual Result<> put(SealedChunk chunk) = 0;
};

// Who brought a span: a node's id, "depot", or "multicast".
struct Origin {
  enum class Path : std::uint8_t { depot, peer, multicast };
  Path path = Path::depot;
  std::string node;
};

// Where every path delivers what it received, unverified. Called from the network's thread; must not block.
class SpanInbox {
 public:
  virtual ~SpanInbox() = default;
  virtual void deliver(SealedSpan span, Origin origin) = 0;
};

// Whoever brings spans to an inbox hears back through it: how many more there is room for, and what became of them.
// Thread-safe.
class SpanFeed {
 public:
  virtual ~SpanFeed() = default;
  // So many spans may be under way (asked for, neither had nor bad). The last value set is the one that holds.
  virtual void set_credit(std::uint32_t spans) = 0;
  virtual void had(SpanIndex span) = 0;                        // verified
  virtual void bad(SpanIndex span, const Origin& origin) = 0;  // verification failed
};

// Gives sealed spans of one image to serve to others; nothing where it is not held (any more). Thread-safe.
class SpanSource {
 public:
  using Give = std::function<void(std::shared_ptr<const SealedSpan>)>;
  virtual ~SpanSource() = default;
  virtual std::shared_ptr<const SealedSpan> span(SpanIndex index) = 0;
  // Where span() has nothing at hand: looks further, where that takes time. `give` is called at most once, at once or on
  // another thread, with nothing where the span is not held; never after the source was stopped.
  virtual void fetch(SpanIndex /*index*/, Give give) { give(nullptr); }
};

}  // namespace stampede::chunker
