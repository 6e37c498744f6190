// Debian has ipsec-mb for amd64 alone: elsewhere this file says that there is none.
#include "transport/net/packet_cipher.h"

#ifdef STAMPEDE_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

namespace stampede::net {

namespace {

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

// The table of functions for this processor; what is used of it keeps no state. Null: no AES instructions.
const IMB_MGR* manager() {
  static const std::unique_ptr<IMB_MGR, FreeManager> manager = [] {
    std::unique_ptr<IMB_MGR, FreeManager> made(alloc_mb_mgr(0));
    IMB_ARCH arch = IMB_ARCH_NONE;
    if (made) init_mb_mgr_auto(made.get(), &arch);
    if (made && (imb_get_errno(made.get()) != 0 || arch == IMB_ARCH_NONE || arch == IMB_ARCH_NOAESNI)) made.reset();
    return made;
  }();
  return manager.get();
}

class IpsecMbCipher final : public PacketCipher {
 public:
  IpsecMbCipher(const IMB_MGR& manager, const AesKey& key) : manager_(manager) { manager_.gcm128_pre(key.data(), &key_); }
  ~IpsecMbCipher() override { OPENSSL_cleanse(&key_, sizeof key_); }

  void seal(const GcmNonce& nonce, ByteView header, MutableBytes packet, GcmTag tag) override {
    gcm_context_data state;
    manager_.gcm128_enc(&key_, &state, octets(packet), octets(packet), packet.size(), octets(nonce), octets(header),
                        header.size(), octets(MutableBytes(tag)), tag.size());
  }

  bool open(const GcmNonce& nonce, ByteView header, MutableBytes packet, GcmTag tag) override {
    gcm_context_data state;
    std::array<std::byte, 16> right;
    manager_.gcm128_dec(&key_, &state, octets(packet), octets(packet), packet.size(), octets(nonce), octets(header),
                        header.size(), octets(MutableBytes(right)), right.size());
    return CRYPTO_memcmp(right.data(), tag.data(), right.size()) == 0;  // in constant time
  }

 private:
  static const std::uint8_t* octets(ByteView bytes) { return reinterpret_cast<const std::uint8_t*>(bytes.data()); }
  static std::uint8_t* octets(MutableBytes bytes) { return reinterpret_cast<std::uint8_t*>(bytes.data()); }

  const IMB_MGR& manager_;
  gcm_key_data key_;
};

}  // namespace

std::unique_ptr<PacketCipher> ipsec_mb_packet_cipher(const AesKey& key) {
  const IMB_MGR* const found = manager();
  return found == nullptr ? nullptr : std::make_unique<IpsecMbCipher>(*found, key);
}

}  // namespace stampede::net

#else

namespace stampede::net {

std::unique_ptr<PacketCipher> ipsec_mb_packet_cipher(const AesKey&) { return nullptr; }

}  // namespace stampede::net

#endif
