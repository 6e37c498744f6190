#include "src/disk/restore.h"

namespace stampede::disk {

namespace {

Result<> check_written(Target& target, const Patch& patch) {
  Bytes bytes(patch.bytes.size());
  STAMPEDE_CHECK(target.blocks().read(patch.at, bytes));
  if (bytes == patch.bytes) return {};
  return fail(Code::readback_mismatch, "{} does not return what was written at byte {}: replace the disk",
              target.identity().path, patch.at.bytes);
}

// What is blanked first has to come back whole.
Result<> check_complete(const Rescue& rescue) {
  std::vector<Range> held;
  for (const Patch& run : rescue.runs) held.push_back({run.at, {run.bytes.size()}});
  held = merged(std::move(held));
  for (const Range& range : commit_ranges(rescue.disk.size, rescue.image_size))
    if (!covers(held, range))
      return fail(Code::usage, "the rescue file does not hold all of bytes {} to {} of its disk", range.at.bytes,
                  range.end().bytes);
  return {};
}

}  // namespace

Result<Restored> restore_table(const Rescue& rescue, const RestoreOptions& options, const std::vector<Disk>& disks,
                               const SystemPaths& paths) {
  STAMPEDE_CHECK(check_complete(rescue));
  const Needs needs{
      .size = rescue.disk.size, .sector_size = rescue.disk.sector_size, .overwrite = options.overwrite, .create = false};
  STAMPEDE_TRY(auto guarded, open_guarded(options.selector, needs, disks, paths));
  STAMPEDE_CHECK(check_same_disk(rescue, guarded.identity));
  // What lies beyond the image's end and is not in the file is what the old table names as its own: it stays.
  guarded.found.clear();
  TargetOptions target_options{.slabs = 1, .depth = 1};
  InProgress record{.image = {}, .deployment = {}, .started = system_clock().unix_time(), .disk_size = rescue.disk.size};
  system_random().fill(record.deployment);
  if (!guarded.interrupted) target_options.save = options.save;
  STAMPEDE_TRY(const auto target, Target::open(std::move(guarded), rescue.image_size, target_options));
  STAMPEDE_CHECK(target->begin(record));
  Restored restored{target->identity(), {}};
  for (const Patch& run : rescue.runs) {
    STAMPEDE_CHECK(target->blocks().write(run.at, run.bytes));
    restored.written += Size{run.bytes.size()};
  }
  STAMPEDE_CHECK(target->commit());
  for (const Patch& run : rescue.runs) STAMPEDE_CHECK(check_written(*target, run));
  return restored;
}

}  // namespace stampede::disk
