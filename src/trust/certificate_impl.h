// X.509 certificates: made, decoded, read from and written to PEM files.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "src/trust/authority.h"
#include "src/trust/openssl_impl.h"

namespace stampede::trust {

// The largest certificate or request that is looked at; ours are near 500 bytes.
inline constexpr std::size_t kMaxDer = 8192;

struct CertificateSpec {
  PublicKey subject{};
  std::string common_name;
  // Null: self-signed, and `signer` is the subject's own key.
  const X509* issuer = nullptr;
  // NIDs with values in the words of openssl's x509v3_config; in this order.
  std::vector<std::pair<int, std::string>> extensions;
};
// Signed by `signer`, with a random serial, valid by its dates from 1970 to 9999.
Certificate make_certificate(const CertificateSpec& spec, const PrivateKey& signer);

std::string common_name_of(std::string_view kind, const PublicKey& key);
void set_common_name(X509_NAME* name, const std::string& text);

// The subjectAltName URI that states the role.
std::string role_uri(Role role, const PublicKey& key);

Result<Certificate> load_certificate(const std::filesystem::path& path);
// False if the file exists.
Result<bool> publish_certificate(const std::filesystem::path& path, const Certificate& certificate);

}  // namespace stampede::trust
