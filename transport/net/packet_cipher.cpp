#include "transport/net/packet_cipher.h"

#include <openssl/evp.h>

#include <stdexcept>

namespace stampede::net {

namespace {

const unsigned char* octets(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* octets(MutableBytes bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }
int count(ByteView bytes) { return static_cast<int>(bytes.size()); }

void must(bool right) {
  if (!right) throw std::runtime_error("OpenSSL cannot do AES-128-GCM");
}

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

Context context_for(const AesKey& key, bool seals) {
  Context context(EVP_CIPHER_CTX_new());
  must(context != nullptr &&
       EVP_CipherInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, octets(ByteView(key)), nullptr, seals ? 1 : 0) == 1);
  return context;
}

class OpensslCipher final : public PacketCipher {
 public:
  explicit OpensslCipher(const AesKey& key) : seals_(context_for(key, true)), opens_(context_for(key, false)) {}

  void seal(const GcmNonce& nonce, ByteView header, MutableBytes packet, GcmTag tag) override {
    EVP_CIPHER_CTX* const context = seals_.get();
    int done = 0;
    must(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, octets(ByteView(nonce))) == 1 &&
         EVP_EncryptUpdate(context, nullptr, &done, octets(header), count(header)) == 1 &&
         EVP_EncryptUpdate(context, octets(packet), &done, octets(packet), count(packet)) == 1 &&
         EVP_EncryptFinal_ex(context, octets(packet) + done, &done) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag.size()), tag.data()) == 1);
  }

  bool open(const GcmNonce& nonce, ByteView header, MutableBytes packet, GcmTag tag) override {
    EVP_CIPHER_CTX* const context = opens_.get();
    int done = 0;
    return EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, octets(ByteView(nonce))) == 1 &&
           EVP_DecryptUpdate(context, nullptr, &done, octets(header), count(header)) == 1 &&
           EVP_DecryptUpdate(context, octets(packet), &done, octets(packet), count(packet)) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag.size()), tag.data()) == 1 &&
           EVP_DecryptFinal_ex(context, octets(packet) + done, &done) == 1;
  }

 private:
  Context seals_, opens_;
};

}  // namespace

std::unique_ptr<PacketCipher> openssl_packet_cipher(const AesKey& key) { return std::make_unique<OpensslCipher>(key); }

std::unique_ptr<PacketCipher> packet_cipher(const AesKey& key) {
  if (auto fast = ipsec_mb_packet_cipher(key)) return fast;
  return openssl_packet_cipher(key);
}

}  // namespace stampede::net
