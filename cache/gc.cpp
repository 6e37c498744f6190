#include "cache/gc.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "cache/lease.h"
#include "cache/marks.h"
#include "cache/pack_set.h"
#include "cache/repack.h"

namespace stampede::cache {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(100);
// A pack is an open file for everybody: so many small ones become few.
constexpr Size kSmallPack = 16_MiB;
constexpr std::size_t kManySmall = 32;

// While it lives, who begins an import does not rely on these packs.
class Condemned {
 public:
  explicit Condemned(const std::filesystem::path& leases) : leases_(leases) {}
  ~Condemned() { spare_all(leases_); }
  Condemned(const Condemned&) = delete;
  Condemned& operator=(const Condemned&) = delete;

 private:
  const std::filesystem::path& leases_;
};

class Collection {
 public:
  Collection(const std::filesystem::path& folder, const std::filesystem::path& leases, PackSet& packs, Catalog& catalog,
             Clock& clock, const GcOptions& options)
      : folder_(folder), leases_(leases), catalog_(catalog), clock_(clock), options_(options), marks_(packs, packs.view()) {}

  Result<GcReport> run() {
    STAMPEDE_CHECK(mark());
    STAMPEDE_CHECK(choose());
    if (!options_.dry_run && !chosen_.empty()) STAMPEDE_CHECK(remove());
    report_.images = marks_.images();
    report_.missing = marks_.missing();
    return std::move(report_);
  }

 private:
  struct Chosen {
    std::size_t pack = 0;
    PackUse use;
  };

  Result<> remove() {
    STAMPEDE_CHECK(condemn(leases_, names()));
    const Condemned condemned(leases_);
    STAMPEDE_CHECK(wait_for_imports());
    STAMPEDE_CHECK(sync_folder(folder_));  // what is relied on instead may have been named just now by somebody else
    STAMPEDE_CHECK(mark());                // what was tagged or leased meanwhile
    Size to_copy;
    for (const Chosen& one : chosen_) to_copy += one.use.live;
    Repacker repacker(folder_, marks_, options_, to_copy, report_);
    for (const Chosen& one : chosen_) STAMPEDE_CHECK(repacker.take(one.pack));
    return repacker.finish();
  }

  // The tags are read before the leases: who takes a lease and then finds the tag still there is seen by one of them.
  Result<> mark() {
    STAMPEDE_TRY(const auto tagged, catalog_.live_images());
    STAMPEDE_TRY(const LiveLeases live, live_leases(leases_));
    std::size_t done = 0;
    for (const chunker::ImageId& image : tagged) {
      tell(GcStage::marking, done++, tagged.size());
      auto marked = marks_.add(image, options_.interrupted);
      if (!marked && marked.error().code == Code::not_found) marked.error().code = Code::store_damaged;
      if (!marked && marked.error().code != Code::interrupted)
        return pass(std::move(marked).error(), "what is needed is not known: repair that image or remove its tags first");
      STAMPEDE_CHECK(marked);
    }
    // One that is not there is relied on by nobody.
    for (const chunker::ImageId& image : live.images)
      if (auto marked = marks_.add(image, options_.interrupted); !marked && marked.error().code != Code::not_found)
        return marked;
    tell(GcStage::marking, done, done);
    return {};
  }

  // Those with nothing that is needed come first: they give space to copy into.
  Result<> choose() {
    const PackView& view = marks_.view();
    report_.packs = view.packs().size();
    const auto oldest = clock_.unix_time() - std::chrono::floor<std::chrono::seconds>(options_.grace).count();
    std::vector<Chosen> small;
    for (std::size_t i = 0; i < view.packs().size(); ++i) {
      const auto use = marks_.use_of(i);
      if (!use) {
        report_.problems.push_back(use.error().message);
        continue;
      }
      report_.chunks += use->chunks;
      report_.live_chunks += use->live_chunks;
      report_.size += use->size;
      report_.live += use->live;
      const bool wasteful =
          use->live_chunks < use->chunks && use->garbage().bytes * 100 >= use->size.bytes * options_.garbage;
      const bool young = view.packs()[i]->stamp().modified / 1'000'000'000 > oldest;
      if (wasteful && young) ++report_.young_packs;
      if (wasteful && !young) chosen_.push_back({i, *use});
      if (!wasteful && !young && use->size < kSmallPack) small.push_back({i, *use});
    }
    if (small.size() >= kManySmall) chosen_.insert(chosen_.end(), small.begin(), small.end());
    std::ranges::sort(chosen_, {}, [](const Chosen& one) { return std::pair(one.use.live, one.pack); });
    if (options_.dry_run)
      for (const Chosen& one : chosen_) foretell(one);
    return {};
  }

  void foretell(const Chosen& one) {
    ++(one.use.live_chunks == 0 ? report_.removed_packs : report_.repacked_packs);
    report_.freed += Size{marks_.view().packs()[one.pack]->stamp().size};
    report_.copied += one.use.live;
  }

  PackNames names() const {
    PackNames names;
    for (const Chosen& one : chosen_) names.insert(marks_.view().packs()[one.pack]->file_name());
    return names;
  }

  // Those that hold a lease now. Who takes one from now on sees what is condemned.
  Result<> wait_for_imports() {
    STAMPEDE_TRY(const LiveLeases before, live_leases(leases_));
    const Instant start = clock_.now();
    while (true) {
      STAMPEDE_TRY(const LiveLeases now, live_leases(leases_));
      std::vector<std::string> left;
      std::ranges::set_intersection(before.imports, now.imports, std::back_inserter(left));
      tell(GcStage::waiting, before.imports.size() - left.size(), before.imports.size());
      if (left.empty()) return {};
      if (options_.interrupted && options_.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
      if (clock_.now() - start >= options_.wait)
        return fail(Code::busy, "nothing was removed: {} imports that may rely on it are under way; collect again later",
                    left.size());
      std::this_thread::sleep_for(kLook);
    }
  }

  void tell(GcStage stage, std::uint64_t done, std::uint64_t total) const {
    if (options_.progress) options_.progress(stage, done, total);
  }

  const std::filesystem::path& folder_;
  const std::filesystem::path& leases_;
  Catalog& catalog_;
  Clock& clock_;
  const GcOptions& options_;
  Marks marks_;
  GcReport report_;
  std::vector<Chosen> chosen_;
};

}  // namespace

std::string_view name_of(GcStage stage) {
  switch (stage) {
    case GcStage::marking:
      return "marking";
    case GcStage::waiting:
      return "waiting";
    case GcStage::copying:
      return "copying";
  }
  return "";
}

Result<GcReport> collect_garbage(const std::filesystem::path& packs_folder, const std::filesystem::path& leases,
                                 PackSet& packs, Catalog& catalog, Clock& clock, const GcOptions& options) {
  STAMPEDE_TRY(const auto alone, try_lock(leases / "collection"));
  if (!alone) return fail(Code::busy, "another process collects this store's garbage");
  spare_all(leases);  // of one that was killed, which removes nothing any more
  STAMPEDE_CHECK(packs.refresh());
  auto report = Collection(packs_folder, leases, packs, catalog, clock, options).run();
  // What was removed and written counts at once for those who use this process's packs.
  STAMPEDE_CHECK(packs.refresh());
  return report;
}

}  // namespace stampede::cache
