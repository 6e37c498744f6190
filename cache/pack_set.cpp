#include "cache/pack_set.h"

#include <algorithm>
#include <unordered_map>

#include "chunker/parallel.h"

namespace stampede::cache {

using chunker::ChunkId;

namespace {

// From so many on they are opened by several threads, each of which holds one footer in memory.
constexpr std::size_t kManyPacks = 8;
// As often as that a collection ends while the packs are listed.
constexpr unsigned kMostLooks = 8;

}  // namespace

Result<std::shared_ptr<PackSet>> PackSet::open(const std::filesystem::path& folder) {
  std::shared_ptr<PackSet> set(new PackSet(folder));
  STAMPEDE_CHECK(set->refresh());
  return set;
}

std::shared_ptr<const PackView> PackSet::view() const {
  const std::shared_lock lock(mutex_);
  return view_;
}

PackSet::Opened PackSet::open_pack(const std::filesystem::path& path) {
  auto opened = Pack::open(path);
  const std::string name = path.filename().string();
  if (opened) return {Known{name, opened->pack->stamp(), opened->pack, {}}, PackView::added(*opened)};
  // Between listing and opening it may have been removed: then it is not there, not damaged.
  const auto stamp = stamp_of(path);
  if (!stamp) return {};
  return {Known{name, *stamp, nullptr, opened.error()}, std::nullopt};
}

// Opens the packs of these names; with `kept` they are all that is known then. refreshing_ is held.
Result<> PackSet::take_in(const std::vector<std::string>& names, std::vector<Known> kept) {
  std::vector<Opened> opened(names.size());
  const auto job = [&]() -> chunker::Job {
    return [&](std::size_t i) -> Result<> {
      opened[i] = open_pack(folder_ / names[i]);
      return {};
    };
  };
  STAMPEDE_CHECK(chunker::run_parallel(names.size() < kManyPacks ? 1 : 0, names.size(), job, {}));

  PackView::Packs packs;
  for (const Known& known : kept)
    if (known.pack) packs.push_back(known.pack);
  std::vector<PackView::Added> added;
  for (Opened& one : opened) {
    if (one.known) kept.push_back(*std::move(one.known));
    if (one.added) added.push_back(*std::move(one.added));
  }
  STAMPEDE_TRY(PackView made, PackView::make(*view_, packs, std::move(added)));
  auto view = std::make_shared<const PackView>(std::move(made));
  const std::unique_lock lock(mutex_);
  view_.swap(view);
  known_ = std::move(kept);
  return {};
}

Result<> PackSet::add(const std::filesystem::path& path) {
  const std::lock_guard one(refreshing_);
  const std::string name = path.filename().string();
  std::vector<Known> kept = known_;
  std::erase_if(kept, [&](const Known& known) { return known.name == name; });
  STAMPEDE_CHECK(take_in({name}, std::move(kept)));
  const auto known = std::ranges::find(known_, name, &Known::name);
  if (known == known_.end()) return fail(Code::store_damaged, "pack {} was removed by somebody", path.string());
  if (!known->pack) return pass(known->error);
  return {};
}

Result<> PackSet::refresh() {
  // One at a time, or two threads that miss would open every new pack twice.
  const std::lock_guard one(refreshing_);
  // What a pack held that has gone a collection has put into another, which the listing need not have shown.
  for (unsigned i = 0; i < kMostLooks; ++i) {
    STAMPEDE_TRY(const bool gone, look());
    if (!gone) break;
  }
  return {};
}

// Is a pack not there any more that was known, or listed?
Result<bool> PackSet::look() {
  std::unordered_map<std::string_view, const Known*> before;
  for (const Known& known : known_) before[known.name] = &known;
  std::vector<Known> kept;
  std::vector<std::string> fresh;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!is_pack_name(name)) continue;
    const auto known = before.find(name);
    const auto stamp = stamp_of(it->path());
    // Whether nothing would come of opening the file again.
    if (known != before.end() && stamp && known->second->stamp == *stamp &&
        (known->second->pack || known->second->error.code == Code::store_damaged))
      kept.push_back(*known->second);
    else
      fresh.push_back(std::move(name));
  }
  if (error) return fail(Code::usage, "cannot list {}: {}", folder_.string(), error.message());
  if (fresh.empty() && kept.size() == known_.size()) return false;
  const auto unknown = std::ranges::count_if(fresh, [&](const auto& name) { return !before.contains(name); });
  const std::size_t all = known_.size() + static_cast<std::size_t>(unknown);  // that were known or listed
  std::ranges::sort(fresh);
  STAMPEDE_CHECK(take_in(fresh, std::move(kept)));
  return known_.size() < all;
}

std::vector<Error> PackSet::damaged() const {
  const std::shared_lock lock(mutex_);
  std::vector<Error> errors;
  for (const Known& known : known_)
    if (!known.pack) errors.push_back(known.error);
  return errors;
}

// Of a chunk of which no copy was found that can be read.
Error PackSet::missing(const ChunkId& id) const {
  std::vector<Error> errors = damaged();
  view()->each_copy(id, [&](const Result<Place>& place) {
    if (!place) errors.push_back(place.error());
    return false;
  });
  if (errors.empty())
    return {Code::not_found, fmt::format("chunk {} is not in the store {}", to_string(id), folder_.string())};
  return {errors.front().code, fmt::format("chunk {} is in no sound pack: {}", to_string(id), errors.front().message)};
}

bool PackSet::knows(const ChunkId& id, const PackNames& without) const { return knows(*view(), id, without); }

std::vector<bool> PackSet::know(std::span<const ChunkId> ids, const PackNames& without) const {
  const auto held = view();
  std::vector<bool> known;
  known.reserve(ids.size());
  while (!ids.empty()) {
    const auto some = ids.first(std::min(ids.size(), ChunkIndex::kPrefetched));
    ids = ids.subspan(some.size());
    held->prefetch(some);
    for (const ChunkId& id : some) known.push_back(knows(*held, id, without));
  }
  return known;
}

bool PackSet::knows(const PackView& view, const ChunkId& id, const PackNames& without) {
  bool known = false;
  view.each_copy(id, [&](const Result<Place>& place) {
    known = place && (without.empty() || !without.contains(place->pack->file_name()));
    return known;
  });
  return known;
}

bool PackSet::has(const ChunkId& id) {
  if (knows(id)) return true;
  // A folder that cannot be listed has no new packs.
  return refresh() && knows(id);
}

Result<std::vector<Place>> PackSet::places(std::span<const chunker::SpanChunk> chunks,
                                           std::shared_ptr<const PackView>& held) {
  std::vector<Place> found;
  found.reserve(chunks.size());
  for (bool refreshed = false; found.size() < chunks.size();) {
    if (!held) held = view();
    const chunker::SpanChunk& chunk = chunks[found.size()];
    if (const auto place = held->find(chunk.id, found.empty() ? nullptr : found.back().pack)) {
      if (place->entry.plain_size != chunk.length)
        return fail(Code::content_altered, "chunk {} has {} bytes, not {}", to_string(chunk.id), place->entry.plain_size,
                    chunk.length);
      found.push_back(*place);
      continue;
    }
    if (refreshed) return pass(missing(chunk.id));
    STAMPEDE_CHECK(refresh());
    refreshed = true;
    held = nullptr;  // the new list
    found.clear();   // points into packs of the old one
  }
  return found;
}

Result<chunker::SealedSpan> PackSet::gather(std::span<const chunker::SpanChunk> chunks) {
  std::shared_ptr<const PackView> held;
  STAMPEDE_TRY(const std::vector<Place> places, this->places(chunks, held));
  chunker::SealedSpan span;
  span.parts.reserve(places.size());
  std::size_t total = 0;
  for (const Place& place : places) {
    span.parts.push_back({place.entry.codec, place.entry.sealed_size});
    total += place.entry.sealed_size;
  }
  span.bytes = Buffer(total);

  std::vector<PackEntry> run;
  run.reserve(std::min(places.size(), Pack::kMaxRun));
  std::size_t at = 0;
  for (std::size_t i = 0; i < places.size();) {
    // Chunks of one import lie next to each other: mostly the whole span is one read.
    run.clear();
    std::size_t size = 0;
    const Pack* const pack = places[i].pack;
    do {
      run.push_back(places[i].entry);
      size += places[i].entry.sealed_size;
      ++i;
    } while (i < places.size() && run.size() < Pack::kMaxRun && places[i].pack == pack &&
             places[i].entry.record == run.back().end());
    // Singly: each chunk may have a sound copy elsewhere, or its pack may have been replaced.
    if (!pack->read(run, MutableBytes(span.bytes).subspan(at, size))) return ChunkSource::gather(chunks);
    at += size;
  }
  return span;
}

// The first sound copy, or the error of the first that is not; not_found where there is none at all.
Result<chunker::SealedChunk> PackSet::read_any(const ChunkId& id) const {
  std::optional<chunker::SealedChunk> found;
  std::optional<Error> error;
  view()->each_copy(id, [&](const Result<Place>& place) {
    const auto read = [&]() -> Result<chunker::SealedChunk> {
      if (!place) return pass(place.error());
      const PackEntry& entry = place->entry;
      chunker::SealedChunk chunk{id, entry.codec, entry.plain_size, Bytes(entry.sealed_size)};
      STAMPEDE_CHECK(place->pack->read(std::span(&entry, 1), chunk.bytes));
      return chunk;
    };
    auto chunk = read();
    if (chunk)
      found = *std::move(chunk);
    else if (!error)
      error = chunk.error();
    return found.has_value();
  });
  if (found) return *std::move(found);
  return pass(error ? *std::move(error) : missing(id));
}

Result<chunker::SealedChunk> PackSet::get(const ChunkId& id) {
  if (auto chunk = read_any(id)) return chunk;
  STAMPEDE_CHECK(refresh());
  return read_any(id);
}

}  // namespace stampede::cache
