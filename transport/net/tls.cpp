#include "transport/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <vector>

#include "transport/net/tls_impl.h"

namespace stampede::net {

std::string tls_error_text() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "closed unexpectedly";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("TLS error {:#x}", code);
}

int identity_slot() {
  static const int slot = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return slot;
}

namespace {

int check_certificate(X509_STORE_CTX* store, void* argument) {
  const auto* context = static_cast<const TlsContext*>(argument);
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  std::vector<X509*> chain;
  for (int i = 0; i < sk_X509_num(sent); ++i) chain.push_back(sk_X509_value(sent, i));
  auto peer = trust::check_peer(X509_STORE_CTX_get0_cert(store), chain, context->site());
  auto* verdict = static_cast<PeerVerdict*>(SSL_get_ex_data(ssl, identity_slot()));
  if (!peer) {
    if (verdict != nullptr) verdict->error = std::move(peer).error();
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }
  if (verdict != nullptr) verdict->peer = *peer;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

std::shared_ptr<X509> from_der(const trust::Certificate& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  return {d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free};
}

Result<> present(SSL_CTX* context, const Identity& identity) {
  const auto leaf = from_der(identity.certificate);
  const auto authority = from_der(identity.authority);
  if (!leaf || !authority) return fail(Code::peer_untrusted, "our own certificate cannot be read: {}", tls_error_text());
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1 || SSL_CTX_use_PrivateKey(context, identity.key.native()) != 1 ||
      SSL_CTX_add1_chain_cert(context, authority.get()) != 1)
    return fail(Code::peer_untrusted, "our own certificate cannot be used: {}", tls_error_text());
  return {};
}

Result<> harden(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // Idle connections, most of a depot's, keep no buffers.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  if (SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1)
    return fail(Code::internal, "no TLS 1.3 cipher suite: {}", tls_error_text());
  return {};
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<TlsContext>> TlsContext::server(const Identity& identity, bool require_certificate) {
  std::shared_ptr<TlsContext> tls(new TlsContext);
  tls->is_server_ = true;
  tls->context_ = SSL_CTX_new(TLS_server_method());
  if (tls->context_ == nullptr) return fail(Code::internal, "cannot set up TLS: {}", tls_error_text());
  STAMPEDE_CHECK(harden(tls->context_));
  STAMPEDE_CHECK(present(tls->context_, identity));
  const auto authority = from_der(identity.authority);
  std::size_t size = tls->site_.size();
  if (EVP_PKEY_get_raw_public_key(X509_get0_pubkey(authority.get()), reinterpret_cast<unsigned char*>(tls->site_.data()),
                                  &size) != 1)
    return fail(Code::peer_untrusted, "the site CA's certificate has no Ed25519 key");
  SSL_CTX_set_options(tls->context_, SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_verify(tls->context_, SSL_VERIFY_PEER | (require_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  SSL_CTX_set_cert_verify_callback(tls->context_, check_certificate, tls.get());
  return tls;
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(const std::optional<Identity>& identity,
                                                       const trust::PublicKey& site) {
  std::shared_ptr<TlsContext> tls(new TlsContext);
  tls->site_ = site;
  tls->context_ = SSL_CTX_new(TLS_client_method());
  if (tls->context_ == nullptr) return fail(Code::internal, "cannot set up TLS: {}", tls_error_text());
  STAMPEDE_CHECK(harden(tls->context_));
  if (identity) STAMPEDE_CHECK(present(tls->context_, *identity));
  SSL_CTX_set_verify(tls->context_, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(tls->context_, check_certificate, tls.get());
  return tls;
}

}  // namespace stampede::net
