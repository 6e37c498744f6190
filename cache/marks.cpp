#include "cache/marks.h"

#include "chunker/package.h"

namespace stampede::cache {

using chunker::ChunkId;

Result<> walk_image(chunker::ChunkSource& source, const chunker::ImageId& image,
                    const std::function<bool(const ChunkId& segment)>& enter,
                    const std::function<Result<>(const ChunkId& id)>& visit) {
  const auto named = [&](Error error) { return pass(std::move(error), fmt::format("image {}", to_string(image))); };
  const auto root = chunker::load_root(source, image);
  if (!root) return named(root.error());
  STAMPEDE_CHECK(visit(as_chunk(image)));
  for (const chunker::SegmentRef& ref : root->segments) {
    STAMPEDE_CHECK(visit(ref.id));
    if (!enter(ref.id)) continue;
    const auto segment = chunker::load_segment(source, ref);
    if (!segment) return named(segment.error());
    for (const chunker::Record& record : segment->records)
      if (record.kind == chunker::RecordKind::data) STAMPEDE_CHECK(visit(record.chunk));
  }
  return {};
}

Marks::Marks(chunker::ChunkSource& source, std::shared_ptr<const PackView> view)
    : source_(source),
      view_(std::move(view)),
      live_(static_cast<std::uint32_t>(view_->size())),
      entered_(static_cast<std::uint32_t>(view_->size())) {}

Result<> Marks::add(const chunker::ImageId& image, const std::function<bool()>& interrupted) {
  if (images_.contains(as_chunk(image))) return {};
  const auto visit = [&](const ChunkId& id) -> Result<> {
    mark(id);
    if (interrupted && interrupted()) return fail(Code::interrupted, "interrupted by a signal");
    return {};
  };
  STAMPEDE_CHECK(walk_image(source_, image, [this](const ChunkId& segment) { return enter(segment); }, visit));
  images_.insert(as_chunk(image));
  return {};
}

// Images share segments as they share chunks: what a segment names is marked once. (Not told by the segment's own mark: its
// bytes may lie on some image's disk too.)
bool Marks::enter(const ChunkId& segment) {
  const auto place = view_->find(segment);
  return !place || entered_.set(place->number);
}

void Marks::mark(const ChunkId& id) {
  copies_.clear();
  view_->each_copy(id, [&](const Result<Place>& place) {
    if (place) copies_.push_back(*place);
    return false;
  });
  for (const Place& copy : copies_)
    if (live_.test(copy.number)) return;
  if (copies_.empty()) {
    if (!source_.has(id)) ++missing_;
    return;
  }
  const Place* chosen = copies_.data();
  if (copies_.size() > 1)
    if (const auto sound = std::ranges::find_if(copies_, [this](const Place& copy) { return is_sound(copy); });
        sound != copies_.end())
      chosen = &*sound;
  live_.set(chosen->number);
}

bool Marks::is_sound(const Place& place) {
  sealed_.resize(place.entry.sealed_size);
  return place.pack->read(std::span(&place.entry, 1), sealed_).has_value();
}

Result<PackUse> Marks::use_of(std::size_t index) const {
  const Pack& pack = *view_->packs()[index];
  STAMPEDE_TRY(const auto live, live_entries(index));
  PackUse use{.chunks = pack.size(), .live_chunks = live.size(), .size = Size{pack.records_end().bytes}, .live = {}};
  for (const PackEntry& entry : live) use.live += entry.end() - entry.record;
  return use;
}

Result<std::vector<PackEntry>> Marks::live_entries(std::size_t index) const {
  const Pack& pack = *view_->packs()[index];
  const ChunkNumber first = view_->first_of(index);
  STAMPEDE_TRY(std::vector<PackEntry> entries, pack.entries());
  std::vector<PackEntry> live;
  for (std::uint32_t i = 0; i < entries.size(); ++i)
    if (is_live(first + i)) live.push_back(entries[i]);
  std::ranges::sort(live, {}, &PackEntry::record);
  return live;
}

}  // namespace stampede::cache
