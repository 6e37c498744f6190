#include "transport/multicast/assembly.h"

#include <algorithm>
#include <cstring>

#include "transport/multicast/fec.h"

namespace stampede::multicast {

Assembly::Assembly(std::uint32_t frame_size, std::size_t symbol_size, std::uint64_t sequence)
    : frame_size_(frame_size),
      layout_(frame_size, symbol_size),
      frame_(layout_.symbols() * symbol_size),
      generations_(layout_.generations()),
      open_(layout_.generations()),
      memory_(frame_.size()) {
  for (Generation& generation : generations_) generation.sequence = sequence;
}

std::uint32_t Assembly::missing(std::uint32_t generation) const {
  return layout_.k(generation) - generations_[generation].count;
}

bool Assembly::add(const Header& header, ByteView symbol, std::uint64_t sequence) {
  Generation& generation = generations_[header.generation];
  generation.sequence = std::max(generation.sequence, sequence);
  if (missing(header.generation) == 0 || generation.seen.test(header.index)) return false;
  generation.seen.set(header.index);
  ++generation.count;
  if (header.is_parity()) {
    generation.parity.push_back({header.index, Buffer(symbol)});
    memory_ += symbol.size();
  } else {
    std::memcpy(frame_.data() + layout_.offset(header.generation, header.index), symbol.data(), symbol.size());
  }
  if (missing(header.generation) == 0) finish(header.generation);
  return true;
}

void Assembly::finish(std::uint32_t number) {
  Generation& generation = generations_[number];
  if (!generation.parity.empty()) {
    std::vector<std::byte*> data;
    std::vector<std::uint8_t> missing;
    for (std::uint32_t i = 0; i < layout_.k(number); ++i) {
      data.push_back(frame_.data() + layout_.offset(number, i));
      if (!generation.seen.test(i)) missing.push_back(static_cast<std::uint8_t>(i));
    }
    std::vector<Parity> parity;
    for (const Spare& spare : generation.parity) parity.push_back({spare.index, spare.symbol.data()});
    restore(data, missing, parity, layout_.symbol_size());
    memory_ -= generation.parity.size() * layout_.symbol_size();
    generation.parity = {};
    ++decoded_;
  }
  --open_;
}

}  // namespace stampede::multicast
