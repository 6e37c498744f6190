// A packet of the carousel, as it stands inside the seal, and how a span's frame is laid into symbols.
//
// Packet, integers little-endian:
//    0  4  span                      index of the span, as everywhere else
//    4  1  generation                0 … generations-1
//    5  1  generations               of this span
//    6  1  k                         data symbols in this generation, 1 … 64
//    7  1  index                     0 … k-1: a data symbol; k … 254: parity, row `index` of the Cauchy code (fec.h)
//    8  4  frame size                in bytes
//   12  S  symbol                    S is the stream's symbol size, the same for all of it
//
// Frame of a span:  0  2  number of parts p      2  5p  for each part: u8 codec, u32 sealed size      then the sealed bytes,
// part after part. It is cut into n = ceil(size / S) symbols, the last one padded with zeros, and these into
// g = ceil(n / 64) generations: symbol i is data symbol i / g of generation i % g, so neighbours are apart and the
// generations' sizes differ by one at most.
//
// Whole spans instead of one endless sequence of records: a span that nobody lacks is left out, a receiver may join at any
// span, and what could not be decoded is named by the index that swarm and store know. For a span of 350 KB the padding
// costs 0.2 %, generations of 61.5 symbols in place of 64 another 0.2 % at 20 % loss, the packet's 12 bytes 0.8 %.
#pragma once

#include <vector>

#include "src/base/buffer.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "transport/wire/messages.h"

namespace stampede::multicast {

inline constexpr std::size_t kPacketHeader = 12;
inline constexpr std::uint32_t kMaxData = 64;    // data symbols of a generation
inline constexpr std::uint32_t kMaxIndex = 255;  // a generation's symbols have indices below
inline constexpr std::size_t kSymbolSize = 1424;
inline constexpr std::size_t kMinSymbolSize = 512;
inline constexpr std::size_t kMaxSymbolSize = 16384;
inline constexpr std::size_t kMaxFrame = 2 + 5 * wire::kMaxSpanParts + wire::kMaxSpanBytes;

// A stream: what every packet of it is measured by.
struct Shape {
  std::uint32_t span_count = 0;
  std::size_t symbol_size = kSymbolSize;
};

// Where a frame of a certain size has its symbols.
class Layout {
 public:
  Layout() = default;
  Layout(std::size_t frame_size, std::size_t symbol_size)
      : symbol_size_(symbol_size),
        symbols_(static_cast<std::uint32_t>((frame_size + symbol_size - 1) / symbol_size)),
        generations_((symbols_ + kMaxData - 1) / kMaxData) {}

  std::size_t symbol_size() const { return symbol_size_; }
  std::uint32_t symbols() const { return symbols_; }
  std::uint32_t generations() const { return generations_; }
  std::uint32_t k(std::uint32_t generation) const { return (symbols_ - generation + generations_ - 1) / generations_; }
  // Of a data symbol.
  std::size_t offset(std::uint32_t generation, std::uint32_t index) const {
    return (std::size_t{index} * generations_ + generation) * symbol_size_;
  }

 private:
  std::size_t symbol_size_ = 0;
  std::uint32_t symbols_ = 0;
  std::uint32_t generations_ = 0;
};

struct Header {
  std::uint32_t span = 0;
  std::uint8_t generation = 0;
  std::uint8_t generations = 0;
  std::uint8_t k = 0;
  std::uint8_t index = 0;
  std::uint32_t frame_size = 0;
  bool is_parity() const { return index >= k; }
  bool operator==(const Header&) const = default;
};

void encode(const Header& header, MutableBytes out);  // the first kPacketHeader bytes of `out`

struct Packet {
  Header header;
  ByteView symbol;  // into the packet
};
// Errors: protocol, if a length or field is not what the shape and the frame size make it.
Result<Packet> decode(ByteView packet, const Shape& shape);

// A span's frame. The sum of the parts is bytes.size(); a programmer error (std::invalid_argument) if not, or above the
// limits of wire::SpanData.
Bytes encode_frame(std::span<const wire::SpanPart> parts, ByteView bytes);

struct Frame {
  std::vector<wire::SpanPart> parts;
  Buffer bytes;
};
// Unverified. Errors: protocol. The sealed bytes stay where they lie.
Result<Frame> decode_frame(Buffer frame);

}  // namespace stampede::multicast
