#include "src/trust/openssl_impl.h"

#include <openssl/err.h>

#include <algorithm>
#include <stdexcept>

namespace stampede::trust {

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "OpenSSL gives no reason" : reason;
}

void must(bool worked, std::string_view doing) {
  if (!worked) throw std::runtime_error(fmt::format("{}: {}", doing, openssl_reason()));
}

bool small_order(const PublicKey& key) {
  // The y coordinates of the eight points of small order, and their encodings that are not reduced; the sign bit is free.
  static constexpr std::array<std::string_view, 7> kPoints{
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
  PublicKey unsigned_key = key;
  unsigned_key.back() &= std::byte{0x7f};
  return std::ranges::find(kPoints, to_hex(unsigned_key)) != kPoints.end();
}

std::optional<PublicKey> ed25519_of(const EVP_PKEY* key) {
  PublicKey raw{};
  std::size_t size = raw.size();
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) return std::nullopt;
  if (EVP_PKEY_get_raw_public_key(key, out_octets(raw), &size) != 1 || size != raw.size()) return std::nullopt;
  if (small_order(raw)) return std::nullopt;
  return raw;
}

KeyPtr native_public(const PublicKey& key) {
  KeyPtr native(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(key), key.size()));
  must(native != nullptr, "loading a public key");
  return native;
}

}  // namespace stampede::trust
