#include "cache/stats.h"

#include <map>

#include "cache/marks.h"
#include "cache/pack_set.h"
#include "chunker/package.h"

namespace stampede::cache {
namespace {

class Survey {
 public:
  Survey(PackSet& packs, Catalog& catalog, const StatsOptions& options)
      : packs_(packs),
        catalog_(catalog),
        options_(options),
        view_(packs.view()),
        needed_(static_cast<std::uint32_t>(view_->size())),
        shared_(static_cast<std::uint32_t>(view_->size())) {}

  Result<StoreStats> run() {
    STAMPEDE_CHECK(list());
    STAMPEDE_CHECK(each_image([this](ImageUse&, const Place& place) {
      if (!needed_.set(place.number)) shared_.set(place.number);
    }));
    STAMPEDE_CHECK(each_image([this](ImageUse& image, const Place& place) {
      (shared_.test(place.number) ? image.shared : image.own) += place.entry.end() - place.entry.record;
    }));
    STAMPEDE_CHECK(add_packs());
    return std::move(stats_);
  }

 private:
  Result<> list() {
    STAMPEDE_TRY(const auto images, catalog_.live_images());
    STAMPEDE_TRY(const auto tags, catalog_.list_tags());
    stats_.tags = tags.size();
    std::map<chunker::ImageId, std::vector<std::string>> names;
    for (const TagRow& tag : tags) names[tag.image].push_back(tag.name.text());
    for (const chunker::ImageId& image : images) {
      const auto root = chunker::load_root(packs_, image);
      if (!root) {
        stats_.problems.push_back(fmt::format("image {}: {}", to_string(image), root.error().message));
        continue;
      }
      stats_.images.push_back({image, names[image], root->disk_size, root->data_size, {}, {}});
    }
    return {};
  }

  Result<> each_image(const std::function<void(ImageUse&, const Place&)>& use) {
    for (ImageUse& image : stats_.images) {
      if (options_.progress) options_.progress(done_++, 2 * stats_.images.size());
      const auto walked = walk_image(
          packs_, image.image, [](const chunker::ChunkId&) { return true; },
          [&](const chunker::ChunkId& id) -> Result<> {
            if (options_.interrupted && options_.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
            if (const auto place = view_->find(id)) use(image, *place);
            return {};
          });
      if (walked) continue;
      if (walked.error().code == Code::interrupted) return walked;
      if (done_ <= stats_.images.size()) stats_.problems.push_back(walked.error().message);
    }
    return {};
  }

  Result<> add_packs() {
    stats_.damaged_packs = packs_.damaged().size();
    for (std::size_t i = 0; i < view_->packs().size(); ++i) {
      const Pack& pack = *view_->packs()[i];
      ++stats_.packs;
      stats_.packs_size += Size{pack.stamp().size};
      STAMPEDE_TRY(const auto entries, pack.entries());
      for (std::uint32_t at = 0; at < entries.size(); ++at) add(entries[at], needed_.test(view_->first_of(i) + at));
    }
    return {};
  }

  void add(const PackEntry& entry, bool live) {
    ++stats_.chunks;
    stats_.live_chunks += live ? 1U : 0U;
    stats_.plain += Size{entry.plain_size};
    stats_.sealed += Size{entry.sealed_size};
    (live ? stats_.live : stats_.garbage) += entry.end() - entry.record;
  }

  PackSet& packs_;
  Catalog& catalog_;
  const StatsOptions& options_;
  const std::shared_ptr<const PackView> view_;
  Bitmap needed_;  // by an image
  Bitmap shared_;  // by another too
  std::size_t done_ = 0;
  StoreStats stats_;
};

}  // namespace

Size StoreStats::data() const {
  Size sum;
  for (const ImageUse& image : images) sum += image.data;
  return sum;
}

double StoreStats::ratio() const {
  return live.bytes == 0 ? 0 : static_cast<double>(data().bytes) / static_cast<double>(live.bytes);
}

Result<StoreStats> measure_store(const std::filesystem::path& folder, PackSet& packs, Catalog& catalog,
                                 const StatsOptions& options) {
  STAMPEDE_CHECK(packs.refresh());
  STAMPEDE_TRY(StoreStats stats, Survey(packs, catalog, options).run());
  for (const auto* name : {"catalog.sqlite", "catalog.sqlite-wal"}) {
    std::error_code none;
    const std::uintmax_t size = std::filesystem::file_size(folder / name, none);
    if (!none) stats.catalog += Size{size};
  }
  return stats;
}

}  // namespace stampede::cache
