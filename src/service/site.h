// The keys of a depot's store, under <store>/keys: the site CA, the depot's own identity, and the key that signs images.
// `serve` needs the first two only: an image can be signed elsewhere.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cache/store.h"
#include "transport/net/tls.h"

namespace stampede::service {

struct Site {
  trust::Authority authority;
  net::Identity depot;
};

// Made at the first use of the store.
Result<Site> open_site(const std::filesystem::path& store);
// The image-signing key, made at first use; its public key joins the accepted signers.
Result<trust::PrivateKey> open_signing_key(const std::filesystem::path& store);
// keys/signers: a public key in hex a line; whose tag records the nodes of this site shall accept. Error: usage.
Result<std::vector<trust::PublicKey>> accepted_signers(const std::filesystem::path& store);

// What is wrong with the keys that the store has, a line each: one that cannot be read, a CA certificate that its key did
// not sign, a signing key that is not among the accepted signers. (The depot's own key says nothing by which another would
// be noticed; the CA certifies whichever it is.)
std::vector<std::string> check_keys(const std::filesystem::path& store);
// The same key, where there is one already. Error: not_found.
Result<trust::PrivateKey> find_signing_key(const std::filesystem::path& store);
// Adds a key to keys/signers; whether it was not there. The caller writes the audit entry.
Result<bool> accept_signer(const std::filesystem::path& store, const trust::PublicKey& key);

// A join token for `uses` machines, valid until now + ttl by this machine's clock. Returns its text. Error: not_found where
// no signer is accepted yet (a target with such a token could accept no image); usage where they are more than a token
// holds.
Result<std::string> create_token(cache::Store& store, Clock& clock, Random& random, std::chrono::seconds ttl, unsigned uses,
                                 cache::TokenGrant grant = {});

}  // namespace stampede::service
