// The disk as it will be after commit, byte by byte: the disk with the held-back commit region over it.
#pragma once

#include <atomic>
#include <functional>
#include <set>
#include <vector>

#include "src/disk/commit_region.h"
#include "src/disk/raw_disk.h"
#include "src/disk/read_ahead.h"
#include "src/disk/target.h"
#include "src/volume/block_access.h"

namespace stampede::disk {

class TargetBlocks final : public volume::BlockAccess {
 public:
  TargetBlocks(RawDisk& disk, CommitRegion& region, std::atomic<std::uint64_t>& written, std::function<Result<>()> flush)
      : disk_(disk), ahead_(disk), region_(region), written_(written), flush_(std::move(flush)) {}

  // While held back: from begin() to the end of commit(). Writing is refused outside it.
  void hold(bool held) {
    held_ = held;
    ahead_.forget();
  }

  Size size() const override { return disk_.size(); }
  Result<> read(Offset offset, MutableBytes out) override;
  Result<> write(Offset offset, ByteView bytes) override;
  Result<> flush() override {
    ahead_.forget();
    return flush_();
  }

  // See Target::edited_blocks().
  std::vector<Offset> edited() const { return {edited_.begin(), edited_.end()}; }

 private:
  RawDisk& disk_;
  ReadAhead ahead_;
  CommitRegion& region_;
  std::atomic<std::uint64_t>& written_;
  const std::function<Result<>()> flush_;
  bool held_ = false;
  std::set<Offset> edited_;
};

}  // namespace stampede::disk
