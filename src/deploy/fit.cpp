#include "src/deploy/fit.h"

#include "src/volume/ext4_tools.h"
#include "src/volume/table_edit.h"

namespace stampede::deploy {

namespace {

const volume::PartitionFacts* find(const volume::ImageFacts& facts, unsigned number) {
  for (const auto& partition : facts.partitions)
    if (partition.number == number) return &partition;
  return nullptr;
}

class Fit {
 public:
  Fit(const FitOptions& options, const FitWork& work) : options_(options), work_(work) {}

  Result<FitFacts> run() {
    STAMPEDE_CHECK(table());
    STAMPEDE_CHECK(file_system());
    return out_;
  }

 private:
  Result<> table() {
    volume::TableEdit edit;
    edit.sector_size = work_.facts.sector_size;
    edit.grow_last = options_.grow;
    auto edited = volume::edit_table(work_.blocks, edit);
    if (!edited) return pass(std::move(edited).error(), "fitting the partition table to the disk");
    if (edited->kind != work_.facts.table)
      work_.warn("the image's partition table is not one that libfdisk takes; it is left as it is");
    out_.backup_moved = edited->moved;
    grown_ = edited->grown;
    return {};
  }

  Result<> file_system() {
    if (!grown_) return {};
    const auto* before = find(work_.facts, grown_->number);
    out_.grown_partition = grown_->number;
    out_.grown_to = grown_->length.bytes;
    if (before == nullptr) return {};
    out_.grown_from = before->length.bytes;
    if (!volume::is_ext(before->filesystem)) {
      work_.warn(fmt::format("partition {} was grown; what is in it ({}) keeps its size", grown_->number,
                             before->filesystem.empty() ? "nothing that is known" : before->filesystem));
      return {};
    }
    auto done = volume::change_ext4(work_.blocks, grown_->offset, grown_->length, {.grow = true, .uuid = {}}, work_.go_on);
    if (!done) return pass(std::move(done).error(), fmt::format("growing the file system of partition {}", grown_->number));
    out_.grown_file_system = before->filesystem;
    return {};
  }

  const FitOptions& options_;
  const FitWork& work_;
  std::optional<volume::PartitionFacts> grown_;
  FitFacts out_;
};

}  // namespace

Result<> check_fit(const FitOptions& options, const volume::ImageFacts& facts) {
  if (!options.grow) return {};
  STAMPEDE_CHECK(volume::check_growable(facts));
  return volume::is_ext(volume::last_partition(facts)->filesystem) ? volume::check_ext4_tools() : Result<>{};
}

Result<FitFacts> fit(const FitOptions& options, const FitWork& work) {
  const bool larger = work.blocks.size() > work.image;
  if (work.facts.table.empty() || (!larger && !options.grow)) return FitFacts{};
  auto done = Fit(options, work).run();
  if (!done && done.error().code == Code::cannot_customise)  // too late to refuse
    return fail(Code::write_failed, "{}", done.error().message);
  return done;
}

}  // namespace stampede::deploy
