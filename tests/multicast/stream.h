// Frames with contents that can be told apart, and their symbols, for tests of both ends.
#pragma once

#include <vector>

#include "src/base/seams.h"
#include "transport/multicast/fec.h"
#include "transport/multicast/packet.h"

namespace stampede::multicast {

inline Bytes sealed_bytes(std::uint32_t span, std::size_t size) {
  Bytes out(size);
  SeededRandom(span * 77 + 1).fill(out);
  return out;
}
// `size` sealed bytes in two parts.
inline Bytes sample_frame(std::uint32_t span, std::size_t size) {
  const auto half = static_cast<std::uint32_t>(size / 2);
  const std::vector<wire::SpanPart> parts{{0, half}, {1, static_cast<std::uint32_t>(size) - half}};
  return encode_frame(parts, sealed_bytes(span, size));
}

struct SampleSymbol {
  Header header;
  Bytes bytes;
  Packet packet() const { return {header, bytes}; }
};

class SampleSpan {
 public:
  SampleSpan(std::uint32_t span, Bytes frame, std::size_t symbol_size)
      : span_(span), size_(frame.size()), layout_(frame.size(), symbol_size), padded_(std::move(frame)) {
    padded_.resize(layout_.symbols() * symbol_size);
  }
  const Layout& layout() const { return layout_; }

  SampleSymbol symbol(std::uint32_t generation, std::uint32_t index) const {
    const std::uint32_t k = layout_.k(generation);
    const auto byte = [](std::size_t n) { return static_cast<std::uint8_t>(n); };
    SampleSymbol out{
        {span_, byte(generation), byte(layout_.generations()), byte(k), byte(index), static_cast<std::uint32_t>(size_)},
        Bytes(layout_.symbol_size())};
    std::vector<const std::byte*> data;
    for (std::uint32_t i = 0; i < k; ++i) data.push_back(padded_.data() + layout_.offset(generation, i));
    std::byte* const to = out.bytes.data();
    if (index >= k) {
      encode_parity(data, layout_.symbol_size(), index, std::span(&to, 1));
    } else {
      std::copy_n(data[index], layout_.symbol_size(), to);
    }
    return out;
  }

 private:
  std::uint32_t span_;
  std::size_t size_;
  Layout layout_;
  Bytes padded_;
};

}  // namespace stampede::multicast
