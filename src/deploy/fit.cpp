#include "src/deploy/fit.h"

#include <algorithm>

#include "src/base/seams.h"
#include "src/unpack/stream.h"
#include "src/volume/ext4_tools.h"
#include "src/volume/id_mentions.h"
#include "src/volume/swap.h"
#include "src/volume/table_edit.h"

namespace stampede::deploy {

namespace {

class Fit {
 public:
  Fit(const FitOptions& options, const FitWork& work) : options_(options), work_(work) {
    out_.disk_guid = work.facts.disk_guid;
    if (options.fresh_uuids) ids_ = volume::fresh_ids(work.facts, system_random());
  }

  Result<Fitted> run() {
    if (options_.fresh_uuids) {
      STAMPEDE_TRY(out_.changed_files, volume::replace_ids(work_.blocks, work_.facts, ids_));
      out_.facts.fresh_uuids = true;
    }
    STAMPEDE_CHECK(table());
    for (const auto& partition : work_.facts.partitions) STAMPEDE_CHECK(file_system(partition));
    return std::move(out_);
  }

 private:
  Result<> table() {
    auto edited = volume::edit_table(work_.blocks, {work_.facts.sector_size, options_.grow, ids_});
    if (!edited) return pass(std::move(edited).error(), "fitting the partition table to the disk");
    if (edited->kind != work_.facts.table)
      work_.warn("the image's partition table is not one that libfdisk takes; it is left as it is");
    else if (const auto id = ids_.find(work_.facts.disk_guid); id != ids_.end())
      out_.disk_guid = id->second;
    out_.facts.backup_moved = edited->moved;
    grown_ = edited->grown;
    return {};
  }

  Result<> file_system(const volume::PartitionFacts& partition) {
    const bool grown = grown_ && grown_->number == partition.number;
    if (grown) note_growth(partition);
    const auto id = volume::has_changeable_uuid(partition) ? ids_.find(partition.uuid) : ids_.end();
    const bool renamed = id != ids_.end();
    Result<> done;
    if (volume::is_ext(partition.filesystem) && (grown || renamed)) {
      const volume::Ext4Change change{.grow = grown, .uuid = renamed ? std::optional(id->second) : std::nullopt};
      done = volume::change_ext4(work_.blocks, partition.offset, grown ? grown_->length : partition.length, change,
                                 work_.go_on);
      if (grown) out_.facts.grown_file_system = partition.filesystem;
    } else if (partition.filesystem == "swap" && renamed) {
      done = volume::set_swap_uuid(work_.blocks, partition.offset, id->second);
    }
    if (!done) return pass(std::move(done).error(), fmt::format("the file system of partition {}", partition.number));
    return {};
  }

  void note_growth(const volume::PartitionFacts& partition) {
    out_.facts.grown_partition = partition.number;
    out_.facts.grown_from = partition.length.bytes;
    out_.facts.grown_to = grown_->length.bytes;
    if (volume::is_ext(partition.filesystem)) return;
    work_.warn(fmt::format("partition {} was grown; what is in it ({}) keeps its size", partition.number,
                           partition.filesystem.empty() ? "nothing that is known" : partition.filesystem));
  }

  const FitOptions& options_;
  const FitWork& work_;
  volume::NewIds ids_;
  std::optional<volume::PartitionFacts> grown_;
  Fitted out_;
};

Result<> check_fresh(const volume::ImageFacts& facts) {
  if (facts.table.empty())
    return fail(Code::cannot_customise,
                "the image has no partition table, so it has no ids to renew: deploy it without "
                "--fresh-uuids");
  if (!facts.fixed_ids)
    return fail(Code::cannot_customise,
                "the image was packaged by a version that did not look where its UUIDs are mentioned: package it again, or "
                "deploy it without --fresh-uuids");
  if (facts.fixed_ids->empty()) return {};
  const std::size_t more = facts.fixed_ids->size() - 1;
  return fail(Code::cannot_customise,
              "its UUIDs cannot be changed consistently: {}{}; mend the template and package it again, "
              "or deploy it without --fresh-uuids",
              facts.fixed_ids->front(), more == 0 ? "" : fmt::format(" (and {} more)", more));
}

}  // namespace

Result<> check_fit(const FitOptions& options, const volume::ImageFacts& facts) {
  bool tools = false;
  if (options.fresh_uuids) {
    STAMPEDE_CHECK(check_fresh(facts));
    STAMPEDE_CHECK(unpack::usable());  // ids are looked for in what is packed
    tools = std::ranges::any_of(facts.partitions, [](const auto& p) { return volume::is_ext(p.filesystem); });
  }
  if (options.grow) {
    STAMPEDE_CHECK(volume::check_growable(facts));
    tools = tools || volume::is_ext(volume::last_partition(facts)->filesystem);
  }
  return tools ? volume::check_ext4_tools() : Result<>{};
}

Result<Fitted> fit(const FitOptions& options, const FitWork& work) {
  const bool larger = work.blocks.size() > work.image;
  if (work.facts.table.empty() || (!larger && !options.grow && !options.fresh_uuids))
    return Fitted{.facts = {}, .disk_guid = work.facts.disk_guid, .changed_files = {}};
  auto done = Fit(options, work).run();
  if (!done && done.error().code == Code::cannot_customise)  // too late to refuse
    return fail(Code::write_failed, "{}", done.error().message);
  return done;
}

}  // namespace stampede::deploy
