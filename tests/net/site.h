// A site for tests: a CA in a temporary folder and identities that it certified.
#pragma once

#include "tests/scratch.h"
#include "transport/net/tls.h"

namespace stampede::net::testing {

class TestSite {
 public:
  TestSite() : authority_(*trust::Authority::load_or_create(folder_.path())) {}
  Identity make(trust::Role role) const {
    auto key = trust::PrivateKey::generate();
    auto certificate = authority_.issue(key.public_key(), role);
    return {std::move(key), std::move(certificate), authority_.certificate()};
  }
  trust::PublicKey key() const { return authority_.public_key(); }
  const trust::Authority& authority() const { return authority_; }

 private:
  Scratch folder_;
  trust::Authority authority_;
};

}  // namespace stampede::net::testing
