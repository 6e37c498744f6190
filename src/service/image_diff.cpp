#include "src/service/image_diff.h"

#include <algorithm>

#include "chunker/package.h"
#include "src/base/text.h"

namespace stampede::service {

namespace {

// A place for a file system, as an image's record has it.
struct Place {
  Offset offset;
  std::string filesystem;
};

std::optional<Place> place_of(const volume::ImageFacts& facts, unsigned partition) {
  if (partition == 0) {
    if (!facts.root || facts.root->partition != 0) return std::nullopt;
    return Place{facts.root->offset, facts.root->filesystem};
  }
  const auto at = std::ranges::find(facts.partitions, partition, &volume::PartitionFacts::number);
  if (at == facts.partitions.end()) return std::nullopt;
  return Place{at->offset, at->filesystem};
}

// What says that a chunk of the store is not as it should be, and not that a file system is damaged.
bool is_of_store(Code code) {
  return code == Code::interrupted || code == Code::content_altered || code == Code::store_damaged ||
         code == Code::not_found;
}

class Differ {
 public:
  Differ(const chunker::Manifest& before, const chunker::Manifest& after, chunker::ChunkSource& chunks, const Found& left,
         const Found& right, const ImageDiffOptions& options)
      : before_(before, chunks), after_(after, chunks), left_(left), right_(right), options_(options) {}

  Result<> compare(unsigned partition, std::vector<std::string>& unseen) {
    const std::string name = partition == 0 ? "the disk" : fmt::format("partition {}", partition);
    const auto left = place_of(left_.record.facts, partition), right = place_of(right_.record.facts, partition);
    if (!left || !right) {
      if (partition != 0) unseen.push_back(fmt::format("{}: only one image has it", name));
      return {};
    }
    for (const auto& [place, image] : {std::pair(*left, &left_), {*right, &right_}})
      if (!volume::is_ext(place.filesystem)) {
        unseen.push_back(fmt::format("{}: {} in {}; only ext2/3/4 is compared by file", name,
                                     place.filesystem.empty() ? "no known file system" : printable(place.filesystem),
                                     image->record.name.text()));
        return {};
      }
    const auto done = compare_trees({before_, left->offset}, {after_, right->offset}, options_,
                                    [&](FileChange change) { options_.each(partition, std::move(change)); });
    if (done) return {};
    if (is_of_store(done.error().code)) return pass(done.error(), fmt::format("comparing {}", name));
    unseen.push_back(fmt::format("{}: {}", name, done.error().message));
    return {};
  }

 private:
  chunker::ImageBlocks before_, after_;
  const Found &left_, &right_;
  const ImageDiffOptions& options_;
};

}  // namespace

Result<ImageDiff> diff_images(cache::Store& store, const Found& before, const Found& after,
                              const ImageDiffOptions& options) {
  STAMPEDE_TRY(const auto left, chunker::load_manifest(store.chunks(), before.record.image));
  STAMPEDE_TRY(const auto right, chunker::load_manifest(store.chunks(), after.record.image));
  ImageDiff out;
  out.bytes = chunker::diff(left, right);
  if (!options.files) return out;
  Differ differ(left, right, store.chunks(), before, after, options);
  for (const auto& partition : out.bytes.partitions)
    if (partition.differs()) STAMPEDE_CHECK(differ.compare(partition.partition, out.unseen));
  return out;
}

}  // namespace stampede::service
