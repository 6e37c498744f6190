// The seal of a multicast packet: AES-128-GCM under a key that the depot gives to each target over TLS.
//
// Datagram, integers little-endian:
//    0  4  "STMC"
//    4  4  stream        a packet of another stream is not ours: several images may share a group
//    8  8  sequence      counts the stream's packets from 1, never twice under one key
//   16  n  sealed packet (transport/multicast/packet.h)
//   16+n  16  tag        over all before it; nonce: the key's salt (4 bytes), then the sequence
//
// Whoever has the key can seal as well as open, so a member of the swarm could send in the depot's name: it is trusted no
// further than a peer is. Truth is each chunk's SHA-256; the seal keeps everybody else out, and cheaply. A key and its
// sequence numbers live as long as one depot process and one image's room, so an old session's packets do not open.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "src/base/bytes.h"
#include "transport/net/packet_cipher.h"

namespace stampede::net {

inline constexpr std::size_t kSealHeader = 16;
inline constexpr std::size_t kSealTag = 16;
inline constexpr std::size_t kSealOverhead = kSealHeader + kSealTag;

struct PacketKey {
  std::uint32_t stream = 0;
  AesKey key{};
  std::array<std::byte, 4> salt{};
};

// Not thread-safe.
class PacketSealer {
 public:
  explicit PacketSealer(const PacketKey& key);
  // `datagram` has the packet at kSealHeader and room for the tag at its end; sealed in place.
  void seal(std::uint64_t sequence, MutableBytes datagram);

 private:
  PacketKey key_;
  std::unique_ptr<PacketCipher> cipher_;
};

// Not thread-safe.
class PacketOpener {
 public:
  struct Opened {
    std::uint64_t sequence = 0;
    ByteView packet;  // inside the datagram
  };
  explicit PacketOpener(const PacketKey& key);
  // In place. Nothing: of another stream, or not what was sealed (the bytes are garbage then).
  std::optional<Opened> open(MutableBytes datagram);

 private:
  PacketKey key_;
  std::unique_ptr<PacketCipher> cipher_;
};

}  // namespace stampede::net
