#include "cache/store.h"

#include <fcntl.h>
#include <sys/file.h>

#include <charconv>

#include "cache/import_session.h"
#include "cache/pack_check.h"
#include "cache/pack_recovery.h"
#include "cache/pack_salvage.h"
#include "cache/pack_set.h"
#include "src/base/file.h"

namespace stampede::cache {
namespace {

constexpr unsigned kStoreVersion = 1;
constexpr std::string_view kVersionPrefix = "stampede store ";

class FolderStore final : public Store {
 public:
  FolderStore(std::filesystem::path folder, Clock& clock)
      : folder_(std::move(folder)), packs_folder_(folder_ / "packs"), leases_(folder_ / "leases"), clock_(clock) {}

  Result<> start() {
    STAMPEDE_TRY(recovered_, recover_packs(packs_folder_));
    STAMPEDE_TRY(packs_, PackSet::open(packs_folder_));
    STAMPEDE_TRY(catalog_, Catalog::open(folder_ / "catalog.sqlite", clock_));
    return {};
  }

  const std::filesystem::path& folder() const override { return folder_; }
  Catalog& catalog() override { return *catalog_; }
  chunker::ChunkSource& chunks() override { return *packs_; }
  Result<std::unique_ptr<ImportSession>> begin_import() override {
    // In this order; see store.h.
    STAMPEDE_TRY(Lease lease, lease_packs(leases_));
    STAMPEDE_TRY(PackNames names, condemned(leases_));
    STAMPEDE_CHECK(packs_->refresh());
    return std::make_unique<PackSession>(packs_folder_, packs_, std::move(lease), std::move(names));
  }
  Result<Lease> lease(const chunker::ImageId& image) override { return lease_image(leases_, image); }
  Result<> refresh() override { return packs_->refresh(); }
  Result<GcReport> collect_garbage(const GcOptions& options) override {
    return cache::collect_garbage(packs_folder_, leases_, *packs_, *catalog_, clock_, options);
  }
  Result<StoreStats> stats(const StatsOptions& options) override {
    return measure_store(folder_, *packs_, *catalog_, options);
  }
  const std::vector<std::string>& recovered() const override { return recovered_; }
  bool knows(const chunker::ChunkId& id) const override { return packs_->knows(id); }
  Result<StoreCheck> check_packs(const CheckOptions& options) override {
    STAMPEDE_CHECK(packs_->refresh());  // what is asked next of the packs is about those that were checked
    return check_folder(packs_folder_, folder_ / (options.percent < 100 ? "check-share" : "check-state"), options);
  }
  Result<std::vector<std::string>> damaged_packs() override { return cache::damaged_packs(packs_folder_); }
  Result<Salvaged> salvage(const std::string& pack) override {
    STAMPEDE_TRY(auto salvaged, salvage_pack(packs_folder_, pack, folder_ / "damaged"));
    STAMPEDE_CHECK(packs_->refresh());
    return salvaged;
  }

 private:
  const std::filesystem::path folder_, packs_folder_, leases_;
  Clock& clock_;
  std::vector<std::string> recovered_;
  std::shared_ptr<PackSet> packs_;
  std::unique_ptr<Catalog> catalog_;
};

Result<> check_version(const std::filesystem::path& folder, std::string_view text) {
  unsigned version = 0;
  if (text.starts_with(kVersionPrefix) && text.ends_with('\n')) {
    const std::string_view digits = text.substr(kVersionPrefix.size(), text.size() - kVersionPrefix.size() - 1);
    const auto parsed = std::from_chars(digits.begin(), digits.end(), version);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.end()) version = 0;
  }
  if (version == 0) return fail(Code::store_damaged, "{} does not hold a store's version", (folder / "version").string());
  if (version > kStoreVersion)
    return fail(Code::store_too_new, "the store {} has version {}, and this stampede knows {}; use a newer stampede",
                folder.string(), version, kStoreVersion);
  return {};
}

bool holds_nothing(const std::filesystem::path& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    // What replace_file() leaves of somebody who died here, and what a fresh file system has.
    if (!name.starts_with("version.new") && name != "lost+found") return false;
  }
  return !error;
}

// Makes or checks the folder's version and parts; one process at a time.
Result<> prepare(const std::filesystem::path& folder) {
  STAMPEDE_CHECK(make_folders(folder));
  STAMPEDE_TRY(const File lock, File::open(folder, O_RDONLY | O_DIRECTORY));
  if (::flock(lock.fd(), LOCK_EX) != 0)
    return fail(Code::usage, "cannot lock the store {}: {}", folder.string(), errno_text(errno));
  const std::filesystem::path version = folder / "version";
  if (std::error_code error; std::filesystem::exists(version, error)) {
    STAMPEDE_TRY(const Bytes text, read_file(version, 100_B));
    STAMPEDE_CHECK(check_version(folder, as_text(text)));
  } else if (holds_nothing(folder)) {
    STAMPEDE_CHECK(replace_file(version, as_bytes(fmt::format("{}{}\n", kVersionPrefix, kStoreVersion))));
  } else {
    return fail(Code::usage, "{} is not a store and not empty; give another folder", folder.string());
  }
  STAMPEDE_CHECK(make_folders(folder / "packs"));
  STAMPEDE_CHECK(make_folders(folder / "keys"));
  STAMPEDE_CHECK(make_folders(folder / "leases"));
  return sync_folder(folder);
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder, Clock& clock) {
  STAMPEDE_CHECK(prepare(folder));
  auto store = std::make_unique<FolderStore>(folder, clock);
  STAMPEDE_CHECK(store->start());
  return store;
}

}  // namespace stampede::cache
