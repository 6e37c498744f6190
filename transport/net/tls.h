// TLS 1.3 for this project: Ed25519 certificates of the site CA on both sides, AES-128-GCM first, no tickets, no
// renegotiation. Who a peer is, trust::check_peer says; no host names, no dates.
#pragma once

#include <memory>
#include <optional>

#include "src/trust/authority.h"

struct ssl_ctx_st;

namespace stampede::net {

// What this side shows of itself.
struct Identity {
  trust::PrivateKey key;
  trust::Certificate certificate;
  trust::Certificate authority;  // sent along, so that who has only the CA's fingerprint can check
};

// Immutable after it is made; shared by connections, thread-safe.
class TlsContext {
 public:
  // A listening side. `require_certificate`: a node certificate or no connection (peers); a depot lets machines without
  // one in, to enrol.
  static Result<std::shared_ptr<TlsContext>> server(const Identity& identity, bool require_certificate);
  // A dialling side; without an identity it can only enrol. `site` is the CA's public key.
  static Result<std::shared_ptr<TlsContext>> client(const std::optional<Identity>& identity, const trust::PublicKey& site);
  ~TlsContext();

  ssl_ctx_st* native() const { return context_; }
  const trust::PublicKey& site() const { return site_; }
  bool is_server() const { return is_server_; }

 private:
  TlsContext() = default;
  ssl_ctx_st* context_ = nullptr;
  trust::PublicKey site_{};
  bool is_server_ = false;
};

}  // namespace stampede::net
