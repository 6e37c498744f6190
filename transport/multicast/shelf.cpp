#include "transport/multicast/shelf.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "transport/multicast/fec.h"

namespace stampede::multicast {

Shelved::Shelved(std::shared_ptr<const Bytes> frame, std::size_t symbol_size)
    : frame_(std::move(frame)), layout_(frame_->size(), symbol_size), tail_(symbol_size) {
  std::ranges::copy(ByteView(*frame_).subspan((layout_.symbols() - 1) * symbol_size), tail_.begin());
}

ByteView Shelved::data(std::uint32_t generation, std::uint32_t index) const {
  const ByteView rest = ByteView(*frame_).subspan(layout_.offset(generation, index));
  return rest.first(std::min(rest.size(), layout_.symbol_size()));
}

Buffer Shelved::parity(std::uint32_t generation, std::uint32_t index) const {
  std::vector<const std::byte*> from;
  for (std::uint32_t i = 0; i < layout_.k(generation); ++i) {
    const ByteView symbol = data(generation, i);
    from.push_back(symbol.size() < tail_.size() ? tail_.data() : symbol.data());
  }
  Buffer out(layout_.symbol_size());
  std::byte* const to = out.data();
  encode_parity(from, out.size(), index, std::span(&to, 1));
  return out;
}

std::shared_ptr<const Shelved> Shelf::find(std::uint32_t span) const {
  const auto found = frames_.find(span);
  return found == frames_.end() ? nullptr : found->second;
}

void Shelf::put(std::uint32_t span, std::shared_ptr<const Shelved> frame) {
  const std::size_t size = frame->size();
  if (!frames_.emplace(span, std::move(frame)).second) return;
  order_.push_back(span);
  used_ += size;
  for (std::size_t tries = order_.size(); used_ > memory_ && tries > 1; --tries) {
    const std::uint32_t oldest = order_.front();
    order_.pop_front();
    const auto found = frames_.find(oldest);
    if (found->second.use_count() > 1) {
      order_.push_back(oldest);
      continue;
    }
    used_ -= found->second->size();
    frames_.erase(found);
  }
}

}  // namespace stampede::multicast
