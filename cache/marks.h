// Which copies of chunks the images need: a bit for each. One thread at a time. Not for other rooms.
#pragma once

#include <unordered_set>
#include <vector>

#include "cache/pack_view.h"
#include "chunker/source.h"
#include "src/base/bitmap.h"

namespace stampede::cache {

// Gives the ids of all that an image consists of: the root record, its segments, and the chunk of each data record. A
// segment's chunks are left out where `enter` returns false for it. Memory: one segment. Errors: those of reading the
// manifest (see chunker::load_root()), and of `visit`.
Result<> walk_image(chunker::ChunkSource& source, const chunker::ImageId& image,
                    const std::function<bool(const chunker::ChunkId& segment)>& enter,
                    const std::function<Result<>(const chunker::ChunkId& id)>& visit);

// Of a pack's entries.
struct PackUse {
  std::uint64_t chunks = 0, live_chunks = 0;
  Size size, live;  // of the file without its footer, and of the records that are needed
  Size garbage() const { return size - live; }
};

// Of several copies of a chunk one is marked: the first that can be read. Memory: two bits for each chunk of the view and a
// segment of a manifest; use_of() reads one footer (56 bytes for each chunk of the pack).
class Marks {
 public:
  // Manifests are read from `source`, which may know of newer packs than the view.
  Marks(chunker::ChunkSource& source, std::shared_ptr<const PackView> view);

  // Marks what an image consists of; nothing new where that was done. Errors: those of reading its manifest; what
  // `interrupted` (may be empty) ends.
  Result<> add(const chunker::ImageId& image, const std::function<bool()>& interrupted = {});
  std::size_t images() const { return images_.size(); }
  // Chunks that an image names and that are nowhere.
  std::uint64_t missing() const { return missing_; }

  const PackView& view() const { return *view_; }
  bool is_live(ChunkNumber number) const { return live_.test(number); }
  // Errors: store_damaged, read_failed.
  Result<PackUse> use_of(std::size_t pack) const;
  // The entries of a pack that are needed, in the order of their records.
  Result<std::vector<PackEntry>> live_entries(std::size_t pack) const;

 private:
  void mark(const chunker::ChunkId& id);
  bool enter(const chunker::ChunkId& segment);
  bool is_sound(const Place& place);

  chunker::ChunkSource& source_;
  const std::shared_ptr<const PackView> view_;
  Bitmap live_;
  Bitmap entered_;  // segments whose chunks are marked
  std::unordered_set<chunker::ChunkId> images_;
  std::uint64_t missing_ = 0;
  std::vector<Place> copies_;
  Bytes sealed_;
};

}  // namespace stampede::cache
