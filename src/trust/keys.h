// Ed25519 keys and signatures (RFC 8032), through OpenSSL. A node, depot or signer is its public key.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/base/error.h"

// OpenSSL's EVP_PKEY, so that transport/net can hand the key to TLS.
struct evp_pkey_st;

namespace stampede::trust {

using PublicKey = std::array<std::byte, 32>;
using Signature = std::array<std::byte, 64>;

// What a signature is for; signed in front of the bytes, so that one kind can never pass for another.
inline constexpr std::string_view kTagRecordDomain = "stampede tag record 1\n";
inline constexpr std::string_view kReceiptDomain = "stampede receipt 1\n";

class PrivateKey {
 public:
  static PrivateKey generate();
  // PEM (PKCS #8), mode 0600. Errors: usage, also for a file that others than its owner may read or write.
  static Result<PrivateKey> load(const std::filesystem::path& path);
  // Loads, or generates and saves when there is none; safe against two processes doing so at once.
  static Result<PrivateKey> load_or_create(const std::filesystem::path& path);
  // Refuses a path that exists (usage): no key is ever overwritten.
  Result<> save(const std::filesystem::path& path) const;

  PublicKey public_key() const;
  Signature sign(std::string_view domain, ByteView bytes) const;
  evp_pkey_st* native() const { return key_.get(); }

 private:
  explicit PrivateKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

// Error: signature_invalid; also for a key of small order (all zeros is one), under which anybody can sign.
Result<> verify(const PublicKey& signer, std::string_view domain, ByteView bytes, const Signature& signature);

// The full hex form names a node; the short one (16 digits) is for people.
std::string to_string(const PublicKey& key);
std::string short_name(const PublicKey& key);
std::optional<PublicKey> parse_public_key(std::string_view hex);

}  // namespace stampede::trust
