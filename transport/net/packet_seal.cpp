#include "transport/net/packet_seal.h"

#include <algorithm>

namespace stampede::net {

namespace {

constexpr std::uint32_t kMagic = 0x434D5453;  // "STMC"

GcmNonce nonce_of(const PacketKey& key, ByteView sequence) {
  GcmNonce nonce;
  std::ranges::copy(key.salt, nonce.begin());
  std::ranges::copy(sequence, nonce.begin() + 4);
  return nonce;
}

MutableBytes packet_in(MutableBytes datagram) { return datagram.subspan(kSealHeader, datagram.size() - kSealOverhead); }

}  // namespace

PacketSealer::PacketSealer(const PacketKey& key) : key_(key), cipher_(packet_cipher(key.key)) {}

void PacketSealer::seal(std::uint64_t sequence, MutableBytes datagram) {
  const MutableBytes header = datagram.first(kSealHeader);
  store_le(header.first(4), kMagic);
  store_le(header.subspan(4, 4), key_.stream);
  store_le(header.subspan(8, 8), sequence);
  cipher_->seal(nonce_of(key_, header.subspan(8, 8)), header, packet_in(datagram), datagram.last<kSealTag>());
}

PacketOpener::PacketOpener(const PacketKey& key) : key_(key), cipher_(packet_cipher(key.key)) {}

std::optional<PacketOpener::Opened> PacketOpener::open(MutableBytes datagram) {
  if (datagram.size() < kSealOverhead || load_le<std::uint32_t>(datagram.first(4)) != kMagic ||
      load_le<std::uint32_t>(datagram.subspan(4, 4)) != key_.stream)
    return std::nullopt;
  const ByteView header = datagram.first(kSealHeader);
  const MutableBytes packet = packet_in(datagram);
  if (!cipher_->open(nonce_of(key_, header.subspan(8, 8)), header, packet, datagram.last<kSealTag>())) return std::nullopt;
  return Opened{load_le<std::uint64_t>(header.subspan(8, 8)), packet};
}

}  // namespace stampede::net
