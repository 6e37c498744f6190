// The casync index of an image of ours, made from its manifest as it is read: a segment of it is in memory at a time, so a
// disk of any size takes a MiB. Our chunks are its chunks; zeros and free space are chunks of zeros (zeros.h).
#pragma once

#include <memory>
#include <optional>

#include "chunker/manifest.h"
#include "chunker/seal.h"
#include "chunker/source.h"
#include "src/casync/index.h"

namespace stampede::casync {

// A chunk as the index has it.
struct Cut {
  Offset offset;
  Size length;
  chunker::ChunkId id;
  bool zero = false;
};

// Gives the chunks of an image one after another. One thread.
class ImageCuts {
 public:
  // Reads the root record; `source` outlives it. Errors: not_found, content_altered, store_damaged, read_failed.
  static Result<ImageCuts> open(chunker::ChunkSource& source, const chunker::ImageId& image);

  const chunker::Root& root() const { return root_; }
  // Nothing after the last. Errors: store_damaged, content_altered, read_failed.
  Result<std::optional<Cut>> next();

  // The next one is that in which the offset is, or one of zeros before it. Errors: as of next().
  Result<> seek(Offset offset);

  // How many there are, for which the whole manifest is read. Error: also usage, where an index cannot have so many.
  static Result<std::uint64_t> count(chunker::ChunkSource& source, const chunker::ImageId& image);

 private:
  explicit ImageCuts(chunker::ChunkSource& source) : source_(&source) {}
  Result<Bytes> load(const chunker::ChunkId& id);
  Result<bool> next_segment();

  chunker::ChunkSource* source_;
  std::unique_ptr<chunker::Opener> opener_ = std::make_unique<chunker::Opener>();
  chunker::Root root_;
  std::size_t segments_ = 0;  // read
  chunker::Segment segment_;
  std::size_t record_ = 0;  // of the segment
  Size given_;              // of the record, if it is a run of zeros
  Offset at_;
};

// The index as a stream of bytes. One thread.
class IndexStream {
 public:
  // `chunks`: what ImageCuts::count said. Errors: as of ImageCuts.
  static Result<IndexStream> open(chunker::ChunkSource& source, const chunker::ImageId& image, std::uint64_t chunks);
  // The next part, kPart at most; empty at the end. Errors: as of ImageCuts; content_altered where they are not so many.
  Result<Bytes> next();

  static constexpr Size kPart = 64_KiB;

 private:
  IndexStream(ImageCuts cuts, std::uint64_t chunks) : cuts_(std::move(cuts)), chunks_(chunks) {}
  ImageCuts cuts_;
  std::uint64_t chunks_;
  std::uint64_t written_ = 0;
  bool begun_ = false, ended_ = false;
};

}  // namespace stampede::casync
