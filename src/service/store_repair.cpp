#include "src/service/store_repair.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "chunker/seal.h"

namespace stampede::service {

namespace {

using chunker::ChunkId;

// Chunks by id from a depot, opened and verified, into an import.
class Fetcher {
 public:
  Fetcher(cache::Store& store, const RepairOptions& options, Repaired& repaired)
      : store_(store), options_(options), repaired_(repaired) {}

  // What cannot be had is put into `missing`, with the reason.
  Result<> fetch(const std::vector<ChunkId>& ids, std::unordered_map<ChunkId, std::string>& missing) {
    STAMPEDE_CHECK(connect());
    STAMPEDE_TRY(const auto session, store_.begin_import());
    Result<> taken;
    for (std::size_t at = 0; taken && at < ids.size(); at += kRepairBatch) {
      const std::size_t count = std::min(kRepairBatch, ids.size() - at);
      taken = take(std::vector<ChunkId>(&ids[at], &ids[at] + count), *session, missing);
      options_.fetching(at + count, ids.size());
    }
    auto kept = session->commit();  // what came is as good as ever
    return taken ? kept : taken;
  }

 private:
  Result<> connect() {
    if (access_) return {};
    STAMPEDE_TRY(auto access, deploy::Access::open(options_));
    access_.emplace(std::move(access));
    return access_->connect();
  }

  // Where one of many is not there it is not said which.
  Result<> take(const std::vector<ChunkId>& ids, cache::ImportSession& session,
                std::unordered_map<ChunkId, std::string>& missing) {
    auto chunks = access_->node()->fetch(ids);
    if (!chunks && class_of(chunks.error().code) != "store" && chunks.error().code != Code::content_altered)
      return pass(std::move(chunks).error());
    if (!chunks && ids.size() > 1) {
      for (const ChunkId& id : ids) STAMPEDE_CHECK(take({id}, session, missing));
      return {};
    }
    if (!chunks) {
      missing[ids.front()] = chunks.error().message;
      return {};
    }
    for (std::size_t i = 0; i < ids.size(); ++i) STAMPEDE_CHECK(keep(ids[i], std::move((*chunks)[i]), session, missing));
    return {};
  }

  Result<> keep(const ChunkId& id, chunker::SealedChunk chunk, cache::ImportSession& session,
                std::unordered_map<ChunkId, std::string>& missing) {
    if (chunk.plain_size <= chunker::kMaxObject.bytes) plain_.resize(std::max<std::size_t>(plain_.size(), chunk.plain_size));
    const bool fits = chunk.plain_size <= plain_.size();
    if (!fits || !opener_.open({id, chunk.codec, chunk.plain_size, chunk.bytes}, plain_)) {
      missing[id] = "the depot's copy is damaged too";
      return {};
    }
    chunk.id = id;
    ++repaired_.fetched;
    repaired_.fetched_bytes += Size{chunk.bytes.size()};
    return session.put(std::move(chunk));
  }

  cache::Store& store_;
  const RepairOptions& options_;
  Repaired& repaired_;
  std::optional<deploy::Access> access_;
  chunker::Opener opener_;
  Bytes plain_;
};

class Repairer {
 public:
  Repairer(cache::Store& store, const RepairOptions& options)
      : store_(store), options_(options), fetcher_(store, options, repaired_) {}

  Result<Repaired> run() {
    StoreCheckOptions check = options_.check;
    check.percent = 100;
    check.from_start = true;
    STAMPEDE_TRY(StoreReport report, check_store(store_, check));
    STAMPEDE_TRY(const auto packs, damaged(report));
    repaired_.packs.assign(packs.begin(), packs.end());
    if (!options_.dry_run) {
      check.percent = 1;  // all is known by now; what is needed is what images lack
      for (const auto& pack : packs) STAMPEDE_CHECK(salvage(pack));
      if (!packs.empty()) {
        STAMPEDE_TRY(report, check_store(store_, check));
      }
      STAMPEDE_CHECK(mend_all(report, check));
    }
    conclude(report);
    return std::move(repaired_);
  }

 private:
  Result<std::set<std::string>> damaged(const StoreReport& report) {
    STAMPEDE_TRY(const auto unopened, store_.damaged_packs());
    std::set<std::string> packs(unopened.begin(), unopened.end());
    for (const Damage& damage : report.damages)
      if (!damage.pack.empty()) packs.insert(damage.pack);
    return packs;
  }

  Result<> salvage(const std::string& pack) {
    STAMPEDE_TRY(const auto salvaged, store_.salvage(pack));
    repaired_.kept += salvaged.chunks;
    if (!salvaged.aside.empty()) repaired_.aside.push_back(salvaged.aside);
    return store_.catalog().audit("operator", "store repair",
                                  fmt::format("{}: {} chunks kept{}", pack, salvaged.chunks,
                                              salvaged.aside.empty() ? "" : ", moved to " + salvaged.aside.string()));
  }

  // Of a manifest that was missing the chunks are known only when it has come.
  Result<> mend_all(StoreReport& report, const StoreCheckOptions& check) {
    while (true) {
      STAMPEDE_TRY(const bool came, mend(report));
      if (!came) return {};
      STAMPEDE_TRY(report, check_store(store_, check));
    }
  }

  // Those that have not been tried; whether anything came.
  Result<bool> mend(const StoreReport& report) {
    std::vector<ChunkId> ids;
    for (const Damage& damage : report.damages)
      if (damage.lost && tried_.insert(damage.chunk).second) ids.push_back(damage.chunk);
    // A pack that could not be opened may have given it back by now.
    std::erase_if(ids, [&](const ChunkId& id) { return store_.chunks().has(id); });
    repaired_.lost += ids.size();
    if (ids.empty() || !options_.fetch) return false;
    const std::uint64_t before = repaired_.fetched;
    STAMPEDE_CHECK(fetcher_.fetch(ids, missing_));
    return repaired_.fetched > before;
  }

  void conclude(const StoreReport& report) {
    std::set<ChunkId> told;
    for (const Damage& damage : report.damages) {
      if (!damage.lost || !told.insert(damage.chunk).second) continue;
      const auto why = missing_.find(damage.chunk);
      repaired_.not_mended.push_back({damage.chunk, report.images_of(damage),
                                      why != missing_.end() ? why->second
                                      : options_.fetch      ? "it could not be fetched"
                                                            : "there is no other copy here; name a depot that has it"});
    }
    if (options_.dry_run) repaired_.lost = repaired_.not_mended.size();
    repaired_.problems = report.problems;
    if (report.more_damages > 0)
      repaired_.problems.push_back(fmt::format("{} more chunks are damaged: repair again", report.more_damages));
  }

  cache::Store& store_;
  const RepairOptions& options_;
  Repaired repaired_;
  Fetcher fetcher_;
  std::set<ChunkId> tried_;
  std::unordered_map<ChunkId, std::string> missing_;
};

}  // namespace

Result<Repaired> repair_store(cache::Store& store, const RepairOptions& options) {
  Repairer repairer(store, options);
  return repairer.run();
}

}  // namespace stampede::service
