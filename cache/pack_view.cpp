#include "cache/pack_view.h"

#include <unordered_set>

namespace stampede::cache {

using Slot = ChunkIndex::Slot;

PackView::Added PackView::added(const OpenedPack& opened) {
  Added out{opened.pack, {}};
  out.slots.reserve(opened.footer.size());
  for (std::uint32_t i = 0; i < opened.footer.size(); ++i)
    out.slots.emplace_back(ChunkIndex::prefix_of(opened.footer.entry(i).id), i);
  return out;
}

Result<PackView> PackView::make(const PackView& older, const Packs& keep, std::vector<Added> added) {
  PackView view;
  std::uint64_t next = 0;
  const auto put = [&](std::shared_ptr<const Pack> pack) {
    view.firsts_.push_back(static_cast<ChunkNumber>(next));
    next += pack->size();
    view.packs_.push_back(std::move(pack));
    return view.firsts_.back();
  };

  const std::unordered_set<std::shared_ptr<const Pack>> kept(keep.begin(), keep.end());
  std::vector<std::optional<ChunkNumber>> moved;  // of each older pack: where its numbers begin now
  for (const auto& pack : older.packs_) moved.push_back(kept.contains(pack) ? std::optional(put(pack)) : std::nullopt);

  std::vector<ChunkIndex::Run> runs;
  std::vector<Slot> rest;
  if (view.packs_.size() == older.packs_.size()) {
    runs.push_back(older.index_.slots());
  } else {
    for (const Slot slot : older.index_.slots()) {
      const std::size_t pack = older.pack_of(slot.number());
      if (moved[pack]) rest.emplace_back(slot.prefix(), *moved[pack] + (slot.number() - older.firsts_[pack]));
    }
    runs.push_back(rest);
  }
  for (Added& one : added) {
    const ChunkNumber first = put(one.pack);
    for (Slot& slot : one.slots) slot = {slot.prefix(), first + slot.number()};
    runs.push_back(one.slots);
  }
  if (next > kMaxIndexed) return fail(Code::busy, "{} chunks are more than a store may have; use several stores", next);
  view.index_ = ChunkIndex(runs);
  return view;
}

std::optional<Place> PackView::find(const chunker::ChunkId& id, const Pack* likely) const {
  std::optional<Place> found;
  each_copy(id, [&](const Result<Place>& place) {
    if (!place) return false;
    if (!found || place->pack == likely) found = *place;
    return likely == nullptr || found->pack == likely;
  });
  return found;
}

}  // namespace stampede::cache
