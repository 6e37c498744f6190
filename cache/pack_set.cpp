#include "cache/pack_set.h"

#include <algorithm>
#include <ranges>

namespace stampede::cache {

using chunker::ChunkId;

Result<std::shared_ptr<PackSet>> PackSet::open(const std::filesystem::path& folder) {
  std::shared_ptr<PackSet> set(new PackSet(folder));
  STAMPEDE_CHECK(set->refresh());
  return set;
}

std::shared_ptr<const PackSet::Packs> PackSet::packs() const {
  const std::shared_lock lock(mutex_);
  return packs_;
}

std::optional<PackSet::Place> PackSet::find(const Packs& packs, const ChunkId& id, const Pack* likely) {
  if (likely != nullptr)
    if (const auto entry = likely->footer().find(id)) return Place{likely, *entry};
  for (const auto& pack : std::views::reverse(packs)) {
    if (pack.get() == likely) continue;
    if (const auto entry = pack->footer().find(id)) return Place{pack.get(), *entry};
  }
  return std::nullopt;
}

void PackSet::put(const std::filesystem::path& path) {
  auto opened = Pack::open(path);
  // Between listing and opening it may have been removed: then it is not there, not damaged.
  std::error_code ignored;
  if (!opened && !std::filesystem::exists(path, ignored)) return;

  const std::unique_lock lock(mutex_);
  const std::string name = path.filename().string();
  std::erase_if(known_, [&](const Known& known) { return known.name == name; });
  known_.push_back({name, opened ? *opened : nullptr, opened ? Error{} : opened.error()});
  auto packs = std::make_shared<Packs>();
  for (const Known& known : known_)
    if (known.pack) packs->push_back(known.pack);
  packs_ = std::move(packs);
}

Result<> PackSet::add(const std::filesystem::path& path) {
  put(path);
  const std::shared_lock lock(mutex_);
  const auto known = std::ranges::find(known_, path.filename().string(), &Known::name);
  if (known == known_.end()) return fail(Code::store_damaged, "pack {} was removed by somebody", path.string());
  if (!known->pack) return pass(known->error);
  return {};
}

Result<> PackSet::refresh() {
  // One at a time, or two threads that miss would open every new pack twice.
  const std::lock_guard one(refreshing_);
  std::vector<std::filesystem::path> fresh;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!is_pack_name(name)) continue;
    const std::shared_lock lock(mutex_);
    if (std::ranges::find(known_, name, &Known::name) == known_.end()) fresh.push_back(it->path());
  }
  if (error) return fail(Code::usage, "cannot list {}: {}", folder_.string(), error.message());
  std::ranges::sort(fresh);
  for (const std::filesystem::path& path : fresh) put(path);
  return {};
}

std::vector<Error> PackSet::damaged() const {
  const std::shared_lock lock(mutex_);
  std::vector<Error> errors;
  for (const Known& known : known_)
    if (!known.pack) errors.push_back(known.error);
  return errors;
}

Error PackSet::missing(const ChunkId& id) const {
  const std::vector<Error> errors = damaged();
  if (errors.empty())
    return {Code::not_found, fmt::format("chunk {} is not in the store {}", to_string(id), folder_.string())};
  return {Code::store_damaged, fmt::format("chunk {} is in no sound pack: {}", to_string(id), errors.front().message)};
}

bool PackSet::knows(const ChunkId& id) const { return find(*packs(), id, nullptr).has_value(); }

bool PackSet::has(const ChunkId& id) {
  if (knows(id)) return true;
  // A folder that cannot be listed has no new packs.
  return refresh() && knows(id);
}

Result<std::vector<PackSet::Place>> PackSet::places(std::span<const chunker::SpanChunk> chunks,
                                                    std::shared_ptr<const Packs>& held) {
  std::vector<Place> found;
  found.reserve(chunks.size());
  for (bool refreshed = false; found.size() < chunks.size();) {
    if (!held) held = packs();
    const chunker::SpanChunk& chunk = chunks[found.size()];
    if (const auto place = find(*held, chunk.id, found.empty() ? nullptr : found.back().pack)) {
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
  std::shared_ptr<const Packs> held;
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
    STAMPEDE_CHECK(pack->read(run, MutableBytes(span.bytes).subspan(at, size)));
    at += size;
  }
  return span;
}

Result<chunker::SealedChunk> PackSet::get(const ChunkId& id) {
  for (const bool last : {false, true}) {
    const auto held = packs();
    if (const auto place = find(*held, id, nullptr)) {
      chunker::SealedChunk chunk{id, place->entry.codec, place->entry.plain_size, Bytes(place->entry.sealed_size)};
      STAMPEDE_CHECK(place->pack->read(std::span(&place->entry, 1), chunk.bytes));
      return chunk;
    }
    if (!last) STAMPEDE_CHECK(refresh());
  }
  return pass(missing(id));
}

}  // namespace stampede::cache
