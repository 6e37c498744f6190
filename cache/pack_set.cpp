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
  const auto stamp = opened ? Result<FileStamp>((*opened)->stamp()) : stamp_of(path);
  // Between listing and opening it may have been removed: then it is not there, not damaged.
  if (!stamp) return;

  const std::unique_lock lock(mutex_);
  const std::string name = path.filename().string();
  std::erase_if(known_, [&](const Known& known) { return known.name == name; });
  known_.push_back({name, *stamp, opened ? *opened : nullptr, opened ? Error{} : opened.error()});
  rebuild();
}

// Of the packs that were opened; mutex_ is held.
void PackSet::rebuild() {
  auto packs = std::make_shared<Packs>();
  for (const Known& known : known_)
    if (known.pack) packs->push_back(known.pack);
  packs_ = std::move(packs);
}

Result<> PackSet::add(const std::filesystem::path& path) {
  // Not while somebody goes through a list of the folder in which the pack is missing still.
  const std::lock_guard one(refreshing_);
  put(path);
  const std::shared_lock lock(mutex_);
  const auto known = std::ranges::find(known_, path.filename().string(), &Known::name);
  if (known == known_.end()) return fail(Code::store_damaged, "pack {} was removed by somebody", path.string());
  if (!known->pack) return pass(known->error);
  return {};
}

// Whether nothing would come of opening the file again.
bool PackSet::is_known(const std::string& name, const std::optional<FileStamp>& stamp) const {
  const std::shared_lock lock(mutex_);
  const auto known = std::ranges::find(known_, name, &Known::name);
  if (known == known_.end() || !stamp || known->stamp != *stamp) return false;
  return known->pack || known->error.code == Code::store_damaged;
}

void PackSet::keep_only(const std::vector<std::string>& names) {
  const std::unique_lock lock(mutex_);
  const auto gone = [&](const Known& known) { return !std::ranges::binary_search(names, known.name); };
  if (std::erase_if(known_, gone) > 0) rebuild();
}

Result<> PackSet::refresh() {
  // One at a time, or two threads that miss would open every new pack twice.
  const std::lock_guard one(refreshing_);
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (is_pack_name(name)) names.push_back(std::move(name));
  }
  if (error) return fail(Code::usage, "cannot list {}: {}", folder_.string(), error.message());
  std::ranges::sort(names);
  keep_only(names);
  for (const std::string& name : names) {
    const auto stamp = stamp_of(folder_ / name);
    if (!is_known(name, stamp ? std::optional(*stamp) : std::nullopt)) put(folder_ / name);
  }
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
  return {errors.front().code, fmt::format("chunk {} is in no sound pack: {}", to_string(id), errors.front().message)};
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
    // Singly: each chunk may have a sound copy elsewhere, or its pack may have been replaced.
    if (!pack->read(run, MutableBytes(span.bytes).subspan(at, size))) return ChunkSource::gather(chunks);
    at += size;
  }
  return span;
}

// The first sound copy, or the error of the first that is not; not_found where there is none at all.
Result<chunker::SealedChunk> PackSet::read_any(const ChunkId& id) const {
  std::optional<Error> error;
  const auto held = packs();
  for (const auto& pack : std::views::reverse(*held)) {
    const auto entry = pack->footer().find(id);
    if (!entry) continue;
    chunker::SealedChunk chunk{id, entry->codec, entry->plain_size, Bytes(entry->sealed_size)};
    const auto read = pack->read(std::span(&*entry, 1), chunk.bytes);
    if (read) return chunk;
    if (!error) error = read.error();
  }
  return pass(error ? *std::move(error) : missing(id));
}

Result<chunker::SealedChunk> PackSet::get(const ChunkId& id) {
  if (auto chunk = read_any(id)) return chunk;
  STAMPEDE_CHECK(refresh());
  return read_any(id);
}

}  // namespace stampede::cache
