#include "src/service/fixed_shelf.h"

#include <algorithm>

#include "chunker/seal.h"

namespace stampede::service {

FixedShelf::Kept FixedShelf::find(const chunker::ImageId& image) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(kept_, image, [](const Kept& each) { return each->image(); });
  if (found == kept_.end()) return nullptr;
  std::rotate(kept_.begin(), found, found + 1);
  return kept_.front();
}

void FixedShelf::keep(Kept index) {
  const std::lock_guard lock(mutex_);
  kept_.push_front(std::move(index));
  std::size_t pieces = 0;
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    pieces += (*it)->pieces_with_data();
    if (pieces <= casync::kMaxFixedPieces) continue;
    kept_.erase(it, kept_.end());
    return;
  }
}

Result<FixedShelf::Kept> FixedShelf::index(const chunker::ImageId& image) {
  if (auto kept = find(image)) return kept;
  struct Place {
    explicit Place(std::atomic<unsigned>& all) : count(all), number(++all) {}
    ~Place() { --count; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    std::atomic<unsigned>& count;
    unsigned number;
  };
  const Place place(waiting_);
  if (place.number > kMostFixedWaiting) return fail(Code::busy, "many wait for images to be read; ask again later");
  const std::lock_guard lock(making_);
  if (auto kept = find(image)) return kept;
  STAMPEDE_TRY(auto made, casync::FixedIndex::make(store_.chunks(), image, [this] { return stopped_.load(); }));
  auto kept = std::make_shared<const casync::FixedIndex>(std::move(made));
  keep(kept);
  return kept;
}

Result<std::optional<Bytes>> FixedShelf::piece(const chunker::ChunkId& id) {
  Kept index;
  std::optional<std::uint32_t> piece;
  {
    const std::lock_guard lock(mutex_);
    for (const Kept& each : kept_) {
      piece = each->find(id);
      if (!piece) continue;
      index = each;
      break;
    }
  }
  if (!index) return std::nullopt;
  STAMPEDE_TRY(const Bytes plain, index->read(store_.chunks(), *piece));
  static thread_local chunker::Sealer sealer(chunker::kQuickLevel);
  static thread_local chunker::Digester digester;
  STAMPEDE_TRY(const auto verified, digester.verify(id, plain));
  auto sealed = sealer.seal(verified);
  return sealed.codec == chunker::Codec::raw ? chunker::raw_frame(plain) : std::move(sealed.bytes);
}

}  // namespace stampede::service
