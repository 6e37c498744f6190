// The one Target: the pieces of this room put together. See target.h for the contract.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "src/disk/block_turns.h"
#include "src/disk/commit_steps.h"
#include "src/disk/error_latch.h"
#include "src/disk/journal_keeper.h"
#include "src/disk/placing.h"
#include "src/disk/raw_disk.h"
#include "src/disk/ring.h"
#include "src/disk/slab_pool.h"
#include "src/disk/stale.h"
#include "src/disk/target.h"
#include "src/disk/target_blocks.h"
#include "src/disk/zeroer.h"

namespace stampede::disk {

class DiskWriter final : public Target {
 public:
  DiskWriter(GuardedDisk disk, Size image_size, const TargetOptions& options);
  ~DiskWriter() override;
  Result<> start();

  const Disk& identity() const override { return disk_.guarded().identity; }
  std::string_view engine() const override { return ring_->engine(); }
  Result<std::unique_ptr<Reader>> reader() const override { return disk_.reader(); }
  Result<Bytes> begin(const InProgress& record) override;
  Result<std::optional<Bitmap>> journal(const chunker::ImageId& image, std::uint32_t spans) override;
  Result<> keep_journal(std::function<Bitmap()> placed) override;
  void keep_journal_by_time(bool only) override {
    if (journal_) journal_->by_time(only);
  }
  void stop_journal() override { journal_.reset(); }
  std::vector<std::string> wiped() const override;
  Slab try_slab() override { return slabs_.try_take(); }
  std::uint32_t free_slabs() const override { return slabs_.free(); }
  MutableBytes slab_memory() const override { return slabs_.memory(); }
  void on_slab_free(std::function<void()> slab_freed) override { slabs_.on_free(std::move(slab_freed)); }
  void place(Slab slab, std::vector<Placement> placements, std::function<void(Result<>)> done) override;
  void zero(Offset at, Size length, std::function<void(Result<>)> done) override;
  void discard(Offset at, Size length, std::function<void(Result<>)> done) override;
  bool discards() const override { return zeroer_->discards(); }
  using Target::flush;
  Result<> flush(const std::function<bool()>& go_on) override;
  using Target::compare;
  Result<std::vector<bool>> compare(std::span<const Expected> expected, const std::function<bool(Size done)>& progress,
                                    std::vector<chunker::Fingerprint>* learnt) override;
  volume::BlockAccess& blocks() override { return blocks_; }
  std::vector<Offset> edited_blocks() const override { return blocks_.edited(); }
  Result<> commit() override;
  bool holds_back(Offset at, Size length) const override;
  Size written() const override { return {written_}; }

 private:
  // What one call of place() or zero() waits for; ends on the ring thread.
  struct Job;
  enum class Stage { opened, held_back, committed };

  std::shared_ptr<Job> start_job(std::function<void(Result<>)> done);
  void without_bytes(Zeroer::Work work, Range range, std::function<void(Result<>)> done);
  void part_done(const std::shared_ptr<Job>& job, Result<> result);
  void finish(Job& job);
  // Here and now.
  Result<> write(const PlannedGather& gather);
  Result<> write(std::span<const PlannedCopy> copied);
  Result<> wait_for_jobs(const std::function<bool()>& go_on);
  Result<> sync();
  Result<> end_journal();
  Result<> check_usable() const;
  Result<> run_step(std::string_view stage, const Step& step);
  Result<> end_step(std::string_view stage, std::string_view step);
  Result<> read_back(Offset from, Offset to);
  // Was nothing on it that somebody could want back?
  bool is_new() const { return disk_.guarded().created || disk_.guarded().unnamed; }
  Result<> save();
  Result<> publish();
  Result<> wipe_stale();
  StepsInput steps_input() const;

  const TargetOptions options_;
  const Size image_size_;
  RawDisk disk_;
  CommitRegion region_;
  const std::vector<Stale> stale_;
  ErrorLatch latch_;
  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<Stage> stage_ = Stage::opened;
  InProgress record_;
  std::uint64_t flushed_ = 0;  // of written_
  TargetBlocks blocks_;
  SlabPool slabs_;
  BlockTurns turns_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t jobs_ = 0;
  // The destructor ends their threads while all else still stands.
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Zeroer> zeroer_;
  std::unique_ptr<JournalKeeper> journal_;
};

}  // namespace stampede::disk
