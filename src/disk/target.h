// The disk being written. io_uring (engine.h), O_DIRECT, registered buffers; the writer accepts VerifiedChunk and nothing
// else.
//
// The order (design of the commit region): begin() saves and blanks the commit region and flushes; place() and zero() write
// everything outside it and keep what falls inside in memory; flush(); compare() reads back; first-boot edits go through
// blocks(); commit() writes the commit region (both GPTs first, LBA 0 last and alone), flushes and reads it back. An
// interrupted deployment has no partition table. A flush with nothing written since the last one is none.
//
// The commit region is: the first MiB of the disk (the whole disk if it is smaller), the last 64 KiB of the image and the
// last 64 KiB of the disk, where a backup GPT lies.
//
// Threads: slab(), place(), zero() and discard() may be called from any thread; everything else from one controlling thread.
// Completion callbacks run on the writer's own thread and must not block or drop the target. Memory: slabs × kSlab + the
// commit region (≤ 1.125 MiB twice) + 2 MiB of what was read through blocks() + buffers of less than 1 MiB; compare()
// borrows free slabs, and 2 MiB of its own where none are free; its threads have a Digester each. All slabs must be back
// before the target goes; what is still queued then ends with `interrupted`.
//
// How the commit region is blanked and written, step by step, and why in that order: commit_steps.h.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "chunker/fingerprint.h"
#include "chunker/types.h"
#include "src/base/bitmap.h"
#include "src/base/error.h"
#include "src/base/file.h"
#include "src/base/seams.h"
#include "src/disk/commit_region.h"
#include "src/disk/engine.h"
#include "src/disk/faults.h"
#include "src/disk/guard.h"
#include "src/disk/in_progress.h"
#include "src/disk/reader.h"
#include "src/disk/rescue.h"
#include "src/volume/block_access.h"

namespace stampede::disk {

inline constexpr Size kSlab = 1_MiB;
inline constexpr Size kCommitHead = 1_MiB;
inline constexpr Size kCommitTail = 64_KiB;
inline constexpr std::size_t kMostEdited = 8192;

// A registered buffer of kSlab bytes, 4096-aligned; goes back to its pool when destroyed. The credit of the whole pipeline:
// who holds no slab asks for no span.
class SlabPool;
class Slab {
 public:
  Slab() = default;
  Slab(SlabPool* pool, std::uint32_t index, MutableBytes bytes) : pool_(pool), index_(index), bytes_(bytes) {}
  Slab(Slab&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_), bytes_(other.bytes_) {}
  Slab& operator=(Slab&& other) noexcept;
  ~Slab();
  MutableBytes bytes() const { return bytes_; }
  std::uint32_t index() const { return index_; }
  explicit operator bool() const { return pool_ != nullptr; }

 private:
  SlabPool* pool_ = nullptr;
  std::uint32_t index_ = 0;
  MutableBytes bytes_;
};

// One place of one verified chunk, whose bytes lie in the slab that is handed over with it. Several placements may name the
// same chunk (repeats). What is not aligned, in the slab or on the disk, is put together in other slabs, two at most, as far
// as some are free; else, and where it ends within a block, it is written before place() returns, which takes another kSlab
// of memory.
struct Placement {
  chunker::VerifiedChunk chunk;
  Offset at;
};

// What a range should read as: a chunk, or zeros. Where the fingerprint of the chunk's verified bytes is known, that is
// compared instead of the id.
struct Expected {
  Offset at;
  Size length;
  std::optional<chunker::ChunkId> chunk = {};
  std::optional<chunker::Fingerprint> fingerprint = {};
};

struct TargetOptions {
  std::uint32_t slabs = 32;
  std::uint32_t depth = 32;
  Duration journal_every = std::chrono::seconds(2);
  unsigned hash_threads = 0;  // for compare(); 0: as many as there are cores
  EngineKind engine = EngineKind::automatic;
  Faults faults{};
  // Called on the controlling thread after each step of begin() and commit() (commit_steps.h) is durable, with "begin" or
  // "commit" and the step's name: where tests stop the machine.
  std::function<void(std::string_view stage, std::string_view step)> after_step{};
  // Called by begin(), before it writes, with what the disk holds where it will (rescue.h), unless all of that is zeros. An
  // error ends begin().
  std::function<Result<>(const Rescue& now)> save{};
};

class Target {
 public:
  // Takes the disk over; `image_size` tells where the image's own end lies. Errors: too_small; those of open_engine().
  static Result<std::unique_ptr<Target>> open(GuardedDisk disk, Size image_size, const TargetOptions& options = {});
  virtual ~Target() = default;

  virtual const Disk& identity() const = 0;
  virtual std::string_view engine() const = 0;  // "io_uring" or "pwritev2"
  // Of the same disk: past the page cache where the target is, not exclusive; may outlive the target. An image file has one,
  // which reads nothing once it is committed.
  virtual Result<std::unique_ptr<Reader>> reader() const = 0;

  // The first write: saves the commit region (returned: what was there, its ranges one after the other), blanks it and
  // leaves `record` there, durably; the kernel then knows no partitions any more. place(), zero() and edits before it are
  // internal errors.
  virtual Result<Bytes> begin(const InProgress& record) = 0;

  // What the journal of an interrupted deployment of that image names as durable, if this disk has one (journal.h). Before
  // begin(), which blanks it.
  virtual Result<std::optional<Bitmap>> journal(const chunker::ImageId& image, std::uint32_t spans) = 0;
  // After begin(): from now on and until flush() the spans that `placed` says are written to name them in the journal, every
  // journal_every at least, each time after a flush of its own. `placed` is called from a thread of the target and, now,
  // says what is durable already. Nothing is kept where there is no room for it.
  virtual Result<> keep_journal(std::function<Bitmap()> placed) = 0;
  // While the disk, and no network, is what is waited for: a record comes every journal_every then, and not also when enough
  // is new, since its flush may hold up all that is being read and written. What is placed meanwhile does not count as new
  // afterwards. Between keep_journal() and flush().
  virtual void keep_journal_by_time(bool only) = 0;
  // `placed` is not called any more; what has been written of the journal stays.
  virtual void stop_journal() = 0;
  // What begin() zeroes beyond the image's end besides (stale.h): "zfs_member 'tank' in partition 3, 2 MiB from byte N on".
  virtual std::vector<std::string> wiped() const = 0;

  // A free slab, or an empty one if there is none now; slab_freed is called (on some thread) when one comes back.
  virtual Slab try_slab() = 0;
  virtual std::uint32_t free_slabs() const = 0;
  // All slabs' bytes lie in it, for Reader::will_read_into().
  virtual MutableBytes slab_memory() const = 0;
  virtual void on_slab_free(std::function<void()> slab_freed) = 0;
  // Writes the chunks; adjacent ones as one write. `done` is called once, when all is written (not yet durable) or failed.
  // It may wait for what others write of the same blocks: not to be called from a `done`.
  virtual void place(Slab slab, std::vector<Placement> placements, std::function<void(Result<>)> done) = 0;
  // Makes a range read as zeros by the cheapest way that truly does; in order with place() is not promised.
  virtual void zero(Offset at, Size length, std::function<void(Result<>)> done) = 0;

  // Tells the device that nobody needs what the range holds: it may keep it, lose it, or read as zeros from then on. A
  // device that cannot makes no error: it does not `discards()` then.
  virtual void discard(Offset at, Size length, std::function<void(Result<>)> done) = 0;
  virtual bool discards() const = 0;

  // Waits for everything placed. Then flushes the device and ends the journal. While it waits, `go_on` is called about ten
  // times a second from the calling thread; false ends the waiting with `interrupted`. Other errors: the first that
  // occurred.
  virtual Result<> flush(const std::function<bool()>& go_on) = 0;
  Result<> flush() { return flush({}); }

  // Reads the ranges (O_DIRECT; the commit region from memory while it is held back) and compares. One bool for each range,
  // true: as expected. `progress` is called from the calling thread, about ten times a second at least, with the bytes
  // compared so far; where it returns false, the comparison ends with `interrupted`.
  // Where `learnt` is not null it becomes as long as `expected`, with the fingerprint of every range that is right by its
  // id.
  virtual Result<std::vector<bool>> compare(std::span<const Expected> expected,
                                            const std::function<bool(Size done)>& progress,
                                            std::vector<chunker::Fingerprint>* learnt) = 0;
  Result<std::vector<bool>> compare(std::span<const Expected> expected, const std::function<bool(Size done)>& progress) {
    return compare(expected, progress, nullptr);
  }

  // The disk as it will be after commit, for first-boot edits. Valid as long as the target. It knows what it has read until
  // its flush(): nothing is placed or made zero while it is in use.
  virtual volume::BlockAccess& blocks() = 0;

  // The blocks of 4 KiB in which something was written through blocks(), in order; at most kMostEdited of them.
  virtual std::vector<Offset> edited_blocks() const = 0;

  // Bytes that a completed deployment does not come back from: everything is durable and read back when it returns, and a
  // file that had no name has it. An image file is neither read nor written any more.
  virtual Result<> commit() = 0;

  // Does the range touch the commit region? What stands there on the disk now is blanked by begin(), so it has to be placed
  // again whatever it is.
  virtual bool holds_back(Offset at, Size length) const = 0;

  // Bytes written, made zero and discarded so far.
  virtual Size written() const = 0;
};

}  // namespace stampede::disk
