// A site for tests: a CA in a temporary folder and identities that it certified.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "transport/net/tls.h"

namespace stampede::net::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "stampede-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

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
  TemporaryFolder folder_;
  trust::Authority authority_;
};

}  // namespace stampede::net::testing
