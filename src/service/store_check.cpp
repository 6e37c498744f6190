#include "src/service/store_check.h"

#include <map>
#include <unordered_map>
#include <unordered_set>

#include "chunker/package.h"
#include "chunker/seal.h"
#include "src/deploy/tag_signature.h"
#include "src/service/library.h"
#include "src/service/receipts.h"
#include "src/service/site.h"

namespace stampede::service {

namespace {

using chunker::ChunkId;
using Problems = std::vector<std::string>;

// Of larger manifests only what their segments show one by one is checked.
constexpr std::uint64_t kWholeManifest = std::uint64_t{1} << 20;

void check_receipts(cache::Store& store, Problems& problems) {
  const auto rows = store.catalog().list_receipts();
  if (!rows) return problems.push_back(rows.error().message);
  for (const auto& row : *rows)
    if (const auto receipt = read_receipt(row); !receipt) problems.push_back(receipt.error().message);
}

bool can_be_read(chunker::ChunkSource& source, const ChunkId& id) {
  const auto sealed = source.get(id);
  if (!sealed) return false;
  Bytes plain(sealed->plain_size);
  return chunker::Opener().open({id, sealed->codec, sealed->plain_size, sealed->bytes}, plain).has_value();
}

// Goes through manifests, a segment at a time, and notes which damaged or missing chunks belong to which images.
class ImageWalk {
 public:
  ImageWalk(cache::Store& store, StoreReport& report) : store_(store), report_(report) {
    for (auto& bad : report.packs.bad) {
      const bool lost = !store.knows(bad.id) || !can_be_read(store.chunks(), bad.id);
      add({bad.id, std::move(bad.pack), std::move(bad.what), lost, {}});
    }
    report.packs.bad.clear();
    report.more_damages = report.packs.more_bad;
  }

  // `names`: all that it has, as indexes of StoreReport::images.
  void walk(const chunker::ImageId& id, const std::vector<std::uint32_t>& names) {
    names_ = &names;
    looked_again_ = false;
    whole_ = true;
    note(chunker::as_chunk(id));
    if (const auto root = chunker::load_root(store_.chunks(), id))
      walk(id, *root);
    else if (whole_)
      problem(root.error());
  }

 private:
  void walk(const chunker::ImageId& id, const chunker::Root& root) {
    std::uint64_t records = 0;
    for (const chunker::SegmentRef& ref : root.segments) {
      records += ref.records;
      const std::size_t before = seen_;
      note(ref.id);
      const auto segment = chunker::load_segment(store_.chunks(), ref);
      if (!segment && seen_ == before) problem(segment.error());
      if (!segment) continue;
      for (const auto& record : segment->records)
        if (record.kind == chunker::RecordKind::data) note(record.chunk);
    }
    if (!whole_ || records > kWholeManifest) return;
    if (const auto manifest = chunker::load_manifest(store_.chunks(), id); !manifest) problem(manifest.error());
  }

  void problem(const Error& error) {
    whole_ = false;
    report_.problems.push_back(fmt::format("image {}: {}", report_.images[names_->front()], error.message));
  }

  // The image needs this chunk.
  void note(const ChunkId& id) {
    auto [at, end] = known_.equal_range(id);
    if (at == end && !is_there(id)) {
      add({id, {}, "in no pack", true, {}});
      std::tie(at, end) = known_.equal_range(id);
      if (at == end) ++seen_;
    }
    for (; at != end; ++at) {
      ++seen_;
      Damage& damage = report_.damages[at->second];
      if (damage.lost) whole_ = false;
      if (!damage.images.empty() && damage.images.back() == names_->back()) continue;
      if (mentions_ + names_->size() > kMaxMentions) continue;
      mentions_ += names_->size();
      damage.images.insert(damage.images.end(), names_->begin(), names_->end());
    }
  }

  // A pack may be new since; that is looked for once for each image.
  bool is_there(const ChunkId& id) {
    if (store_.knows(id)) return true;
    if (std::exchange(looked_again_, true)) return false;
    return store_.chunks().has(id);
  }

  void add(Damage damage) {
    whole_ = false;
    if (report_.damages.size() >= kMaxDamages) {
      ++report_.more_damages;
      return;
    }
    known_.emplace(damage.chunk, static_cast<std::uint32_t>(report_.damages.size()));
    report_.damages.push_back(std::move(damage));
  }

  cache::Store& store_;
  StoreReport& report_;
  std::unordered_multimap<ChunkId, std::uint32_t> known_;  // to the damages
  std::size_t mentions_ = 0;
  std::size_t seen_ = 0;  // damages that were met
  const std::vector<std::uint32_t>* names_ = nullptr;
  bool looked_again_ = false;
  bool whole_ = true;
};

using Names = std::map<chunker::ImageId, std::vector<std::uint32_t>>;  // to indexes of StoreReport::images

void add_name(StoreReport& report, Names& names, const chunker::ImageId& image, std::string name) {
  names[image].push_back(static_cast<std::uint32_t>(report.images.size()));
  report.images.push_back(std::move(name));
}

// The records of a name before the one that counts; other images that it was can still be asked for, as "name@<id>".
Result<> check_history(cache::Store& store, const cache::TagRow& newest, StoreReport& report, Names& names) {
  STAMPEDE_TRY(auto history, store.catalog().tag_history(newest.name));
  for (std::size_t i = 0; i + 1 < history.size(); ++i) {
    const auto record = decode(std::move(history[i]));
    const auto sound = record ? deploy::check_signature(record->signed_record) : pass(record.error());
    if (!sound)
      report.problems.push_back(fmt::format("an earlier record of {}: {}", newest.name.text(), sound.error().message));
    else if (const auto image = record->record.image; image != newest.image && !names.contains(image))
      add_name(report, names, image, newest.name.name + "@" + chunker::to_string(image).substr(0, 16));
  }
  return {};
}

Result<> check_images(cache::Store& store, const StoreCheckOptions& options, StoreReport& report) {
  auto rows = store.catalog().list_tags();
  if (!rows) {
    report.problems.push_back(rows.error().message);
    return {};
  }
  Names names;
  for (const auto& row : *rows) {
    if (const auto found = verify(store, row))
      add_name(report, names, found->record.image, row.name.text());
    else
      report.problems.push_back(fmt::format("image {}: {}", row.name.text(), found.error().message));
  }
  for (const auto& row : *rows) STAMPEDE_CHECK(check_history(store, row, report, names));
  // Those whose names have all ended.
  STAMPEDE_TRY(const auto live, store.catalog().live_images());
  for (const auto& image : live)
    if (!names.contains(image)) add_name(report, names, image, "@" + chunker::to_string(image).substr(0, 16));
  ImageWalk walk(store, report);
  std::uint64_t done = 0;
  for (const auto& [image, of] : names) {
    if (options.interrupted && options.interrupted()) return fail(Code::interrupted, "the check was interrupted");
    if (options.images) options.images(done++, names.size());
    walk.walk(image, of);
  }
  return {};
}

}  // namespace

std::string StoreReport::images_of(const Damage& damage) const {
  std::vector<std::string_view> names;
  for (const std::uint32_t index : damage.images) names.emplace_back(images[index]);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<std::string> StoreReport::lines() const {
  std::vector<std::string> lines = problems;
  for (const Damage& damage : damages)
    lines.push_back(fmt::format("chunk {}{}: {}{}; {}", to_string(damage.chunk),
                                damage.pack.empty() ? "" : " in pack " + damage.pack, damage.what,
                                damage.lost ? "" : ", but another pack has it too",
                                damage.images.empty() ? "no image needs it" : "needed by " + images_of(damage)));
  if (more_damages > 0) lines.push_back(fmt::format("{} more damaged chunks", more_damages));
  return lines;
}

Result<StoreReport> check_store(cache::Store& store, const StoreCheckOptions& options) {
  StoreReport report;
  STAMPEDE_TRY(report.packs, store.check_packs(options));
  report.problems = report.packs.problems;
  STAMPEDE_TRY(const auto catalog, store.catalog().check());
  report.problems.insert(report.problems.end(), catalog.begin(), catalog.end());
  const auto keys = check_keys(store.folder());
  report.problems.insert(report.problems.end(), keys.begin(), keys.end());
  check_receipts(store, report.problems);
  STAMPEDE_CHECK(check_images(store, options, report));
  return report;
}

}  // namespace stampede::service
