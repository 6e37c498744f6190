// A window: spans that go out together, symbol by symbol over all of their generations. Private to this room.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "transport/multicast/shelf.h"

namespace stampede::multicast {

class Window {
 public:
  struct Slot {
    std::uint32_t span = 0;
    std::uint32_t generation = 0;
    std::uint32_t k = 0;
    const Shelved* frame = nullptr;
  };
  struct Next {
    const Slot& slot;
    std::uint32_t index;  // k and above: that many-th parity
  };

  void add(std::uint32_t span, std::shared_ptr<const Shelved> frame) {
    for (std::uint32_t g = 0; g < frame->layout().generations(); ++g)
      slots_.push_back({span, g, frame->layout().k(g), frame.get()});
    spans_.push_back(span);
    frames_.push_back(std::move(frame));
  }
  void set_parity(std::uint32_t parity) {
    for (const Slot& slot : slots_) rounds_ = std::max(rounds_, slot.k);
    parity_ = parity;
  }
  std::size_t generations() const { return slots_.size(); }
  const std::vector<std::uint32_t>& spans() const { return spans_; }
  const std::vector<std::shared_ptr<const Shelved>>& frames() const { return frames_; }

  // Data of all generations, then parity of all.
  std::optional<Next> next() {
    for (; round_ < rounds_ + parity_; ++round_, slot_ = 0) {
      for (; slot_ < slots_.size(); ++slot_) {
        const Slot& slot = slots_[slot_];
        if (round_ >= rounds_) return ++slot_, Next{slot, slot.k + round_ - rounds_};
        if (round_ < slot.k) return ++slot_, Next{slot, round_};
      }
    }
    return std::nullopt;
  }

 private:
  std::vector<std::uint32_t> spans_;
  std::vector<std::shared_ptr<const Shelved>> frames_;
  std::vector<Slot> slots_;
  std::uint32_t rounds_ = 0;
  std::uint32_t parity_ = 0;
  std::uint32_t round_ = 0;
  std::size_t slot_ = 0;
};

}  // namespace stampede::multicast
