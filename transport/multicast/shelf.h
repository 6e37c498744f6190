// The frames that the sender has at hand, and parity made of them. Private to this room.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "src/base/buffer.h"
#include "transport/multicast/packet.h"

namespace stampede::multicast {

// A frame, its layout, and its last symbol padded with zeros.
class Shelved {
 public:
  Shelved(std::shared_ptr<const Bytes> frame, std::size_t symbol_size);
  const Layout& layout() const { return layout_; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(frame_->size()); }
  // A data symbol; the frame's last may be short.
  ByteView data(std::uint32_t generation, std::uint32_t index) const;
  Buffer parity(std::uint32_t generation, std::uint32_t index) const;

 private:
  std::shared_ptr<const Bytes> frame_;
  Layout layout_;
  Bytes tail_;
};

// Bounded by `memory`: the one put there first goes first, unless somebody else holds it too.
class Shelf {
 public:
  explicit Shelf(std::size_t memory) : memory_(memory) {}
  std::shared_ptr<const Shelved> find(std::uint32_t span) const;
  void put(std::uint32_t span, std::shared_ptr<const Shelved> frame);

 private:
  std::size_t memory_;
  std::size_t used_ = 0;
  std::map<std::uint32_t, std::shared_ptr<const Shelved>> frames_;
  std::deque<std::uint32_t> order_;
};

}  // namespace stampede::multicast
