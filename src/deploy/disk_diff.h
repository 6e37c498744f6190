// Which blocks of a disk are not as a manifest says. Reads only, past the page cache where the disk allows it.
//
// Memory: an entry for each range of the manifest, another for each chunk that differs, kRead and a Digester for each core,
// and a bit for each block of the disk.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "chunker/manifest.h"
#include "chunker/source.h"
#include "src/base/file.h"
#include "src/base/range.h"
#include "src/deploy/receipt.h"

namespace stampede::deploy {

inline constexpr Size kRead = 1_MiB;

class DiskDiff {
 public:
  // Blocks that were edited on purpose are to be as `altered` says, instead of as in the image. `manifest` outlives it; the
  // disk is at least as large as it says.
  DiskDiff(std::filesystem::path disk, Size size, const chunker::Manifest& manifest, std::vector<AlteredBlock> altered);

  // Reads all that the manifest knows of. `progress` is called about ten times a second from the calling thread; false ends
  // it with `interrupted`. Other errors: read_failed, usage (cannot be opened), content_altered (a block that the disk has
  // not).
  Result<> read(const std::function<bool(Size read, Size total)>& progress);

  // Compares the chunks that differ with their bytes, block by block; of chunks beyond `most` every block counts as
  // differing. Errors: those of `fetch`, content_altered, read_failed.
  using Fetch = std::function<Result<std::vector<chunker::SealedChunk>>(const std::vector<chunker::ChunkId>&)>;
  Result<> narrow(Size most, const Fetch& fetch);

  // In order, neighbours joined; whole blocks.
  std::vector<Range> wrong() const;
  Size bytes_read() const { return {read_}; }

 private:
  struct Item {
    Offset at;
    Size length;
    const chunker::ChunkId* chunk = nullptr;  // null: zeros
  };
  struct Batch {  // of neighbouring items
    std::size_t first = 0;
    std::size_t count = 0;
  };
  void add(Offset at, Size length, const chunker::ChunkId* chunk);
  Result<File> open() const;
  Result<> check_batch(const File& file, Batch batch, MutableBytes memory, chunker::Digester& digester);
  Result<> check_altered(const File& file, MutableBytes memory);
  Result<> compare(const File& file, const Item& item, ByteView plain, MutableBytes memory);
  // Counts the blocks of a range of which `differs(offset within it, length)` is true, but for those that are to be altered.
  template <class Differs>
  void count_blocks(Offset at, Size length, Differs differs);
  bool is_altered(std::uint64_t block) const;
  bool has_altered(Offset at, Size length) const;

  const std::filesystem::path path_;
  const Size size_;
  const std::vector<AlteredBlock> altered_;
  std::vector<Item> items_;
  std::vector<Batch> batches_;
  Size total_;
  std::atomic<std::uint64_t> read_ = 0;
  std::mutex mutex_;
  std::vector<Item> suspects_;  // chunks to be compared by the block
  std::vector<bool> wrong_;     // by the block's number
};

}  // namespace stampede::deploy
