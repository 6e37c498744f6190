// Reads ranges of the disk through the ring and hashes them on several threads meanwhile.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "chunker/digest.h"
#include "src/disk/commit_region.h"
#include "src/disk/raw_disk.h"
#include "src/disk/ring.h"
#include "src/disk/slab_pool.h"
#include "src/disk/target.h"

namespace stampede::disk {

class Comparer {
 public:
  struct Parts {
    Ring& ring;
    RawDisk& disk;
    SlabPool& slabs;                     // what is free is borrowed; at least kOwnBuffers are used anyway
    const CommitRegion* held = nullptr;  // where not null, its bytes stand for the disk's
    unsigned threads = 1;
  };
  Comparer(const Parts& parts, const std::function<bool(Size)>& progress);
  ~Comparer();

  // `learnt`: see Target::compare.
  Result<std::vector<bool>> run(std::span<const Expected> expected, std::vector<chunker::Fingerprint>* learnt = nullptr);

  static constexpr std::uint32_t kOwnBuffers = 2;
  static constexpr std::uint32_t kMostBuffers = 16;

 private:
  // A part of one expected range that lies in one buffer.
  struct Piece {
    std::size_t index;  // of the expected range
    Range range;
    const Expected* expected;  // null: zeros
  };
  // One read and what it should hold.
  struct Load {
    Range range;  // aligned
    std::vector<Piece> pieces;
  };
  struct Buffer {
    Slab slab;
    AlignedMemory own;
    Load load;
    MutableBytes bytes() const { return slab ? slab.bytes() : own.bytes(); }
  };

  Result<> add(std::size_t index, const Expected& expected);
  Result<> add_zeros(std::size_t index, Range range);
  Result<> add_zeros_on_disk(std::size_t index, Range range);
  void add_piece(const Piece& piece);
  bool fits(Range range) const;
  void send();
  std::size_t wait_for_buffer();
  void wait_for_all();
  void report();
  void hash();
  std::vector<std::size_t> check(const Buffer& buffer, chunker::Digester& digester);
  Result<> error();

  const Parts parts_;
  const std::function<bool(Size)>& progress_;
  Load next_;  // being put together; controlling thread
  std::vector<Buffer> buffers_;
  Size skipped_;                                         // holes
  std::vector<chunker::Fingerprint>* learnt_ = nullptr;  // each element written by one thread

  std::mutex mutex_;
  std::condition_variable freed_, loading_;  // the controlling thread waits on the first, the hashing ones on the other
  std::vector<std::size_t> free_;            // buffers
  std::deque<std::size_t> loaded_;           // buffers to hash
  std::vector<std::size_t> wrong_;           // expected ranges
  std::optional<Error> error_;
  Size compared_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace stampede::disk
