#include "src/trust/authority.h"
#include "src/trust/certificate_impl.h"

namespace stampede::trust {

Bytes make_request(const PrivateKey& key) {
  const RequestPtr request(X509_REQ_new());
  must(request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1, "making a certificate request");
  set_common_name(X509_REQ_get_subject_name(request.get()), common_name_of("key", key.public_key()));
  must(X509_REQ_set_pubkey(request.get(), key.native()) == 1 && X509_REQ_sign(request.get(), key.native(), nullptr) > 0,
       "signing a certificate request");
  return to_der<i2d_X509_REQ>(request.get());
}

Result<PublicKey> public_key_of_request(ByteView request) {
  if (request.size() > kMaxDer)
    return fail(Code::peer_untrusted, "a certificate request of {} bytes: more than {}", request.size(), kMaxDer);
  const unsigned char* at = octets(request);
  const RequestPtr decoded(d2i_X509_REQ(nullptr, &at, static_cast<long>(request.size())));
  if (!decoded) return fail(Code::peer_untrusted, "not a certificate request: {}", openssl_reason());
  if (at != octets(request) + request.size()) return fail(Code::peer_untrusted, "bytes follow the certificate request");

  EVP_PKEY* native = X509_REQ_get0_pubkey(decoded.get());
  const std::optional<PublicKey> key = ed25519_of(native);
  if (!key) return fail(Code::peer_untrusted, "a certificate request for a key that is not Ed25519");
  if (X509_REQ_verify(decoded.get(), native) != 1)
    return fail(Code::peer_untrusted, "a certificate request for {} that its key did not sign: {}", short_name(*key),
                openssl_reason());
  return *key;
}

}  // namespace stampede::trust
