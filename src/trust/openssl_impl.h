// What this room's files share of OpenSSL: owners of its objects, and its reasons as text.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "src/trust/keys.h"

namespace stampede::trust {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, Freer<Free>>;

using BioPtr = Owned<BIO, BIO_free_all>;
using BignumPtr = Owned<BIGNUM, BN_free>;
using ExtensionPtr = Owned<X509_EXTENSION, X509_EXTENSION_free>;
using KeyPtr = Owned<EVP_PKEY, EVP_PKEY_free>;
using NamesPtr = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using RequestPtr = Owned<X509_REQ, X509_REQ_free>;
using SignerPtr = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using StorePtr = Owned<X509_STORE, X509_STORE_free>;
using VerifierPtr = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;
using X509Ptr = Owned<X509, X509_free>;

// The reason of OpenSSL's last error on this thread; empties its queue.
std::string openssl_reason();

// For calls that fail only when memory is out or OpenSSL is broken: throws std::runtime_error then.
void must(bool worked, std::string_view doing);

inline const unsigned char* octets(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
inline unsigned char* out_octets(MutableBytes bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

// The 32 bytes of an Ed25519 key; nothing for a key of another kind, or for one of small order, under which anybody can
// sign.
std::optional<PublicKey> ed25519_of(const EVP_PKEY* key);
bool small_order(const PublicKey& key);
KeyPtr native_public(const PublicKey& key);

// DER of an object by its i2d function.
template <auto Encode, class T>
Bytes to_der(const T* object) {
  const int size = Encode(object, nullptr);
  must(size > 0, "encoding DER");
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* out = out_octets(der);
  must(Encode(object, &out) == size, "encoding DER");
  return der;
}

}  // namespace stampede::trust
