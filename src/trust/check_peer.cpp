#include <openssl/err.h>

#include "src/trust/authority.h"
#include "src/trust/certificate_impl.h"

namespace stampede::trust {

namespace {

// The site's own certificate among those that came along, or none. That it is self-signed is checked with the chain.
X509* find_ca(std::span<x509_st* const> chain, const PublicKey& site) {
  for (X509* candidate : chain)
    if (candidate != nullptr && ed25519_of(X509_get0_pubkey(candidate)) == site) return candidate;
  return nullptr;
}

// OpenSSL's own chain check, with `ca` as the only certificate that is trusted.
Result<> check_chain(X509* leaf, X509* ca) {
  const StorePtr store(X509_STORE_new());
  const VerifierPtr verifier(X509_STORE_CTX_new());
  must(store && verifier && X509_STORE_add_cert(store.get(), ca) == 1 &&
           X509_STORE_CTX_init(verifier.get(), store.get(), leaf, nullptr) == 1,
       "checking a certificate");
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(verifier.get());
  X509_VERIFY_PARAM_set_depth(rules, 0);
  must(X509_VERIFY_PARAM_set_flags(
           rules, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE) == 1 &&
           X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER) == 1,
       "checking a certificate");
  if (X509_verify_cert(verifier.get()) != 1) {
    ERR_clear_error();
    return fail(Code::peer_untrusted, "not certified by this site: {}",
                X509_verify_cert_error_string(X509_STORE_CTX_get_error(verifier.get())));
  }
  // Whoever takes part both listens and connects.
  if (X509_check_purpose(leaf, X509_PURPOSE_SSL_CLIENT, 0) != 1)
    return fail(Code::peer_untrusted, "its certificate is not made for connecting");
  if (X509_check_ca(leaf) != 0)
    return fail(Code::peer_untrusted, "it shows a certificate authority's certificate as its own");
  return {};
}

// The text of the only subjectAltName, if that is a URI.
Result<std::string> only_uri(const X509* leaf) {
  const NamesPtr names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
  if (!names || sk_GENERAL_NAME_num(names.get()) != 1) {
    ERR_clear_error();
    return fail(Code::peer_untrusted, "its certificate does not have exactly one subjectAltName");
  }
  const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), 0);
  if (name->type != GEN_URI) return fail(Code::peer_untrusted, "the subjectAltName of its certificate is not a URI");
  const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                     static_cast<std::size_t>(ASN1_STRING_length(uri)));
}

}  // namespace

Result<PeerIdentity> check_peer(x509_st* leaf, std::span<x509_st* const> chain, const PublicKey& site,
                                const Certificate* known_ca) {
  if (leaf == nullptr) return fail(Code::peer_untrusted, "it shows no certificate");
  std::shared_ptr<X509> known;
  if (known_ca != nullptr) {
    STAMPEDE_TRY(known, decode_certificate(*known_ca));
  }
  X509* known_native = known.get();
  X509* ca = find_ca(known ? std::span<X509* const>(&known_native, 1) : chain, site);
  if (ca == nullptr)
    return fail(Code::peer_untrusted, "no certificate of site {} came along: it belongs to another site", short_name(site));
  STAMPEDE_CHECK(check_chain(leaf, ca));

  const std::optional<PublicKey> key = ed25519_of(X509_get0_pubkey(leaf));
  if (!key) return fail(Code::peer_untrusted, "its key is not Ed25519");
  STAMPEDE_TRY(const std::string uri, only_uri(leaf));
  for (const Role role : {Role::depot, Role::node})
    if (uri == role_uri(role, *key)) return PeerIdentity{.role = role, .key = *key};
  return fail(Code::peer_untrusted, "its certificate states no role for its key {}", short_name(*key));
}

}  // namespace stampede::trust
