#include "cache/repack.h"

#include <unistd.h>

#include "cache/lease.h"

namespace stampede::cache {

Result<> Repacker::take(std::size_t index) {
  const Pack& pack = *marks_.view().packs()[index];
  auto live = marks_.live_entries(index);
  std::span<const PackEntry> rest;
  if (live) rest = *live;
  auto read = live ? Result<>() : pass(live.error());
  while (read && !rest.empty()) {
    if (options_.interrupted && options_.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
    const auto run = Pack::next_run(rest);
    read = copy(pack, run);
    rest = rest.subspan(run.size());
  }
  if (!read && (read.error().code == Code::store_damaged || read.error().code == Code::read_failed)) {
    report_.problems.push_back(read.error().message);
    return {};
  }
  STAMPEDE_CHECK(read);
  if (live->empty()) {
    ++report_.removed_packs;
    return unlink(pack);
  }
  ++report_.repacked_packs;
  copied_.push_back(&pack);
  // With nothing of it in the writer any more (that pack was full), it can go.
  return writer_ ? Result<>() : publish();
}

Result<> Repacker::copy(const Pack& pack, std::span<const PackEntry> run) {
  std::size_t size = 0;
  for (const PackEntry& entry : run) size += entry.sealed_size;
  sealed_.resize(size);
  STAMPEDE_CHECK(pack.read(run, sealed_));
  std::size_t at = 0;
  for (const PackEntry& entry : run) {
    if (!writer_) {
      STAMPEDE_TRY(writer_, PackWriter::create(folder_));
    }
    const ByteView sealed = ByteView(sealed_).subspan(at, entry.sealed_size);
    STAMPEDE_CHECK(writer_->append({entry.id, entry.codec, entry.plain_size, stampede::copy(sealed)}));
    at += entry.sealed_size;
    report_.copied += entry.end() - entry.record;
    if (writer_->is_full()) STAMPEDE_CHECK(publish());
  }
  if (options_.progress) options_.progress(GcStage::copying, report_.copied.bytes, std::max(report_.copied, to_copy_).bytes);
  return {};
}

Result<> Repacker::finish() { return publish(); }

Result<> Repacker::publish() {
  if (writer_) STAMPEDE_CHECK(writer_->publish());
  writer_.reset();
  for (const Pack* pack : copied_) STAMPEDE_CHECK(unlink(*pack));
  copied_.clear();
  return {};
}

// Not what an import has put in its place: a pack with the same chunks in the same order has the same name.
Result<> Repacker::unlink(const Pack& pack) {
  STAMPEDE_TRY(const File naming, lock(folder_));
  const auto there = stamp_of(pack.name());
  if (!there || *there != pack.stamp()) return {};
  if (::unlink(pack.name().c_str()) != 0)
    return fail(Code::write_failed, "cannot remove {}: {}", pack.name(), errno_text(errno));
  report_.freed += Size{pack.stamp().size};
  return sync_folder(folder_);
}

}  // namespace stampede::cache
