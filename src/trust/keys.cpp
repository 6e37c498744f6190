#include "src/trust/keys.h"

#include <openssl/err.h>

#include <algorithm>

#include "src/trust/openssl_impl.h"

namespace stampede::trust {

namespace {

// Ed25519 hashes its message twice, so OpenSSL wants it in one piece.
Bytes with_domain(std::string_view domain, ByteView bytes) {
  return ByteWriter(domain.size() + bytes.size()).raw(as_bytes(domain)).raw(bytes).take();
}

}  // namespace

PrivateKey PrivateKey::generate() {
  std::shared_ptr<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  must(key != nullptr, "generating a key");
  return PrivateKey(std::move(key));
}

PublicKey PrivateKey::public_key() const {
  PublicKey key{};
  std::size_t size = key.size();
  must(EVP_PKEY_get_raw_public_key(key_.get(), out_octets(key), &size) == 1, "reading a public key");
  return key;
}

Signature PrivateKey::sign(std::string_view domain, ByteView bytes) const {
  const Bytes message = with_domain(domain, bytes);
  const SignerPtr signer(EVP_MD_CTX_new());
  Signature signature{};
  std::size_t size = signature.size();
  must(signer && EVP_DigestSignInit(signer.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
           EVP_DigestSign(signer.get(), out_octets(signature), &size, octets(message), message.size()) == 1,
       "signing");
  return signature;
}

Result<> verify(const PublicKey& signer, std::string_view domain, ByteView bytes, const Signature& signature) {
  if (small_order(signer)) return fail(Code::signature_invalid, "{} is a key that proves nothing", short_name(signer));
  const Bytes message = with_domain(domain, bytes);
  const KeyPtr key = native_public(signer);
  const SignerPtr verifier(EVP_MD_CTX_new());
  must(verifier && EVP_DigestVerifyInit(verifier.get(), nullptr, nullptr, nullptr, key.get()) == 1, "verifying");
  if (EVP_DigestVerify(verifier.get(), octets(signature), signature.size(), octets(message), message.size()) == 1) return {};
  ERR_clear_error();
  return fail(Code::signature_invalid, "the signature by {} does not hold: altered, or signed by another key",
              short_name(signer));
}

std::string to_string(const PublicKey& key) { return to_hex(key); }
std::string short_name(const PublicKey& key) { return to_hex(ByteView(key).first(8)); }

std::optional<PublicKey> parse_public_key(std::string_view hex) {
  PublicKey key{};
  if (hex.size() != 2 * key.size()) return std::nullopt;
  const std::optional<Bytes> bytes = from_hex(hex);
  if (!bytes) return std::nullopt;
  std::ranges::copy(*bytes, key.begin());
  return key;
}

}  // namespace stampede::trust
