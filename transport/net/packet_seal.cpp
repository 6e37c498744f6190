#include "transport/net/packet_seal.h"

#include <openssl/evp.h>

#include <algorithm>
#include <stdexcept>

namespace stampede::net {

namespace {

constexpr std::uint32_t kMagic = 0x434D5453;  // "STMC"
using Nonce = std::array<unsigned char, 12>;

const unsigned char* octets(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }
unsigned char* octets(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

Nonce nonce_of(const PacketKey& key, ByteView sequence) {
  Nonce nonce;
  std::ranges::transform(key.salt, nonce.begin(), std::to_integer<unsigned char>);
  std::ranges::transform(sequence, nonce.begin() + 4, std::to_integer<unsigned char>);
  return nonce;
}

void must(bool right) {
  if (!right) throw std::runtime_error("OpenSSL cannot do AES-128-GCM");
}

detail::Cipher cipher_for(const PacketKey& key, bool seals) {
  detail::Cipher cipher(EVP_CIPHER_CTX_new());
  must(cipher != nullptr &&
       EVP_CipherInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, octets(key.key.data()), nullptr, seals ? 1 : 0) == 1);
  return cipher;
}

}  // namespace

void detail::FreeCipher::operator()(evp_cipher_ctx_st* context) const { EVP_CIPHER_CTX_free(context); }

PacketSealer::PacketSealer(const PacketKey& key) : key_(key), cipher_(cipher_for(key, true)) {}

void PacketSealer::seal(std::uint64_t sequence, MutableBytes datagram) {
  store_le(datagram.first(4), kMagic);
  store_le(datagram.subspan(4, 4), key_.stream);
  store_le(datagram.subspan(8, 8), sequence);
  const Nonce nonce = nonce_of(key_, datagram.subspan(8, 8));
  auto* packet = octets(datagram.data() + kSealHeader);
  const int size = static_cast<int>(datagram.size() - kSealOverhead);
  int done = 0;
  must(EVP_EncryptInit_ex(cipher_.get(), nullptr, nullptr, nullptr, nonce.data()) == 1 &&
       EVP_EncryptUpdate(cipher_.get(), nullptr, &done, octets(datagram.data()), kSealHeader) == 1 &&
       EVP_EncryptUpdate(cipher_.get(), packet, &done, packet, size) == 1 &&
       EVP_EncryptFinal_ex(cipher_.get(), packet + done, &done) == 1 &&
       EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_GCM_GET_TAG, kSealTag, packet + size) == 1);
}

PacketOpener::PacketOpener(const PacketKey& key) : key_(key), cipher_(cipher_for(key, false)) {}

std::optional<PacketOpener::Opened> PacketOpener::open(MutableBytes datagram) {
  if (datagram.size() < kSealOverhead || load_le<std::uint32_t>(datagram.first(4)) != kMagic ||
      load_le<std::uint32_t>(datagram.subspan(4, 4)) != key_.stream)
    return std::nullopt;
  const Nonce nonce = nonce_of(key_, datagram.subspan(8, 8));
  const MutableBytes sealed = datagram.subspan(kSealHeader, datagram.size() - kSealOverhead);
  auto* packet = octets(sealed.data());
  int done = 0;
  const bool right = EVP_DecryptInit_ex(cipher_.get(), nullptr, nullptr, nullptr, nonce.data()) == 1 &&
                     EVP_DecryptUpdate(cipher_.get(), nullptr, &done, octets(datagram.data()), kSealHeader) == 1 &&
                     EVP_DecryptUpdate(cipher_.get(), packet, &done, packet, static_cast<int>(sealed.size())) == 1 &&
                     EVP_CIPHER_CTX_ctrl(cipher_.get(), EVP_CTRL_GCM_SET_TAG, kSealTag, packet + sealed.size()) == 1 &&
                     EVP_DecryptFinal_ex(cipher_.get(), packet + done, &done) == 1;
  if (!right) return std::nullopt;
  return Opened{load_le<std::uint64_t>(datagram.subspan(8, 8)), sealed};
}

}  // namespace stampede::net
