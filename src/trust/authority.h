// The site CA and the certificates it gives: depots, relays and nodes each make their own Ed25519 key, the CA certifies it
// with a role. X.509's home; chain checking is OpenSSL's own.
//
// Certificates hold for ever by their dates (a machine that is being imaged has no trusted clock); a depot forgets a node by
// its catalog. The role is a critical-free URI in subjectAltName: "stampede:depot:<key hex>", "stampede:node:<key hex>".
#pragma once

#include <filesystem>
#include <span>

#include "src/trust/keys.h"

struct x509_st;

namespace stampede::trust {

enum class Role : std::uint8_t { depot, node };

std::string_view name_of(Role role);  // "depot", "node": as in the URI

// DER.
using Certificate = Bytes;

class Authority {
 public:
  // <folder>/ca.key and ca.crt (PEM), made on first use; safe against two processes doing so at once. Errors: usage.
  static Result<Authority> load_or_create(const std::filesystem::path& folder);
  const Certificate& certificate() const { return certificate_; }
  PublicKey public_key() const { return key_.public_key(); }
  // For a key whose possession is known: the depot's own.
  Certificate issue(const PublicKey& subject, Role role) const;
  // For a PKCS #10 request, whose self-signature proves possession of the key. Errors: peer_untrusted.
  Result<Certificate> issue_for_request(ByteView request, Role role) const;

 private:
  Authority(PrivateKey key, Certificate certificate) : key_(std::move(key)), certificate_(std::move(certificate)) {}
  PrivateKey key_;
  Certificate certificate_;
};

// A PKCS #10 certificate request in DER, signed by `key`.
Bytes make_request(const PrivateKey& key);
Result<PublicKey> public_key_of_request(ByteView request);  // checks the self-signature

struct PeerIdentity {
  Role role = Role::node;
  PublicKey key{};
};
// For TLS and check_peer. Errors: peer_untrusted for what is not one certificate in DER and nothing else.
Result<std::shared_ptr<x509_st>> decode_certificate(ByteView der);

// Checks that `leaf` is certified by the CA whose public key is `site` (the CA's certificate is found in `chain`, or is
// `known_ca` where the caller has it) and says who it is. Dates are not checked. `chain` may hold the leaf and
// strangers too, in any order: OpenSSL's own list of what a peer sent will do. Nothing is kept. Errors: peer_untrusted.
Result<PeerIdentity> check_peer(x509_st* leaf, std::span<x509_st* const> chain, const PublicKey& site,
                                const Certificate* known_ca = nullptr);

}  // namespace stampede::trust
