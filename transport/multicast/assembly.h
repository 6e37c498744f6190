// One span's frame coming together from symbols. Private to this room.
//
// Data symbols are copied to where they belong in the frame; parity is kept beside it until its generation has k symbols of
// any kind, and then what is missing is computed into its place.
#pragma once

#include <bitset>
#include <vector>

#include "src/base/seams.h"
#include "transport/multicast/packet.h"

namespace stampede::multicast {

class Assembly {
 public:
  Assembly(std::uint32_t frame_size, std::size_t symbol_size, std::uint64_t sequence);

  std::uint32_t frame_size() const { return frame_size_; }
  // `header` is one that decode() let through, of this frame size. False: it was not needed.
  bool add(const Header& header, ByteView symbol, std::uint64_t sequence);

  bool complete() const { return open_ == 0; }
  Buffer take() && { return std::move(frame_).first(frame_size_); }

  std::uint32_t generations() const { return layout_.generations(); }
  std::uint32_t missing(std::uint32_t generation) const;
  // Of its last symbol, or of the span's first.
  std::uint64_t last_sequence(std::uint32_t generation) const { return generations_[generation].sequence; }
  std::size_t memory() const { return memory_; }
  std::uint32_t decoded() const { return decoded_; }

 private:
  struct Spare {
    std::uint8_t index;
    Buffer symbol;
  };
  struct Generation {
    std::bitset<kMaxIndex> seen;
    std::uint32_t count = 0;
    std::uint64_t sequence = 0;
    std::vector<Spare> parity;
  };
  void finish(std::uint32_t number);

  std::uint32_t frame_size_;
  Layout layout_;
  Buffer frame_;
  std::vector<Generation> generations_;
  std::uint32_t open_;
  std::uint32_t decoded_ = 0;
  std::size_t memory_;
};

}  // namespace stampede::multicast
