// AES-128-GCM (NIST SP 800-38D) over one datagram, in place: what packet_seal.h needs of a cryptographic library.
//
// Two libraries do it. Intel's ipsec-mb, where the build has it and the processor has AES instructions: 10.7 GB/s of packets
// of 1.4 KB on one core of an EPYC with VAES, where OpenSSL 3.0 does 2.1; with eight receivers on two cores that is a sixth
// of all processor time. OpenSSL everywhere else. tests/net/packet_cipher_test.cpp holds them against each other.
#pragma once

#include <array>
#include <memory>

#include "src/base/bytes.h"

namespace stampede::net {

using AesKey = std::array<std::byte, 16>;
using GcmNonce = std::array<std::byte, 12>;
using GcmTag = std::span<std::byte, 16>;

// Not thread-safe.
class PacketCipher {
 public:
  virtual ~PacketCipher() = default;
  // Encrypts `packet` in place; `tag` authenticates it and `header`. A nonce is used once under a key.
  virtual void seal(const GcmNonce& nonce, ByteView header, MutableBytes packet, GcmTag tag) = 0;
  // Decrypts `packet` in place. False: not what was sealed, and its bytes are garbage then.
  virtual bool open(const GcmNonce& nonce, ByteView header, MutableBytes packet, GcmTag tag) = 0;
};

// The fastest that this build and this processor have.
std::unique_ptr<PacketCipher> packet_cipher(const AesKey& key);

std::unique_ptr<PacketCipher> openssl_packet_cipher(const AesKey& key);
// Null where the build or the processor has none.
std::unique_ptr<PacketCipher> ipsec_mb_packet_cipher(const AesKey& key);

}  // namespace stampede::net
