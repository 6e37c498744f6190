#include "src/trust/authority.h"

#include "src/base/file.h"
#include "src/trust/certificate_impl.h"

namespace stampede::trust {

namespace {

Certificate self_certificate(const PrivateKey& key) {
  return make_certificate({.subject = key.public_key(),
                           .common_name = common_name_of("site", key.public_key()),
                           .issuer = nullptr,
                           .extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                          {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                          {NID_subject_key_identifier, "hash"}}},
                          key);
}

}  // namespace

std::string_view name_of(Role role) { return role == Role::depot ? "depot" : "node"; }

Result<Authority> Authority::load_or_create(const std::filesystem::path& folder) {
  STAMPEDE_CHECK(make_folders(folder));
  STAMPEDE_TRY(PrivateKey key, PrivateKey::load_or_create(folder / "ca.key"));
  const std::filesystem::path path = folder / "ca.crt";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    // False means that another process was faster: its certificate is the one that counts.
    STAMPEDE_TRY([[maybe_unused]] const bool made, publish_certificate(path, self_certificate(key)));
  }
  STAMPEDE_TRY(Certificate certificate, load_certificate(path));
  STAMPEDE_TRY(const auto decoded, decode_certificate(certificate));
  if (ed25519_of(X509_get0_pubkey(decoded.get())) != key.public_key())
    return fail(Code::usage, "{} is not the certificate of {}; put the one back that belongs to the other", path.string(),
                (folder / "ca.key").string());
  if (X509_verify(decoded.get(), key.native()) != 1)
    return fail(Code::usage, "{} is altered: its key did not sign it; put back what was there", path.string());
  return Authority(std::move(key), std::move(certificate));
}

Certificate Authority::issue(const PublicKey& subject, Role role) const {
  const auto ca = decode_certificate(certificate_);
  must(ca.has_value(), "decoding our own certificate");
  return make_certificate({.subject = subject,
                           .common_name = common_name_of(name_of(role), subject),
                           .issuer = ca->get(),
                           .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                                          {NID_key_usage, "critical,digitalSignature"},
                                          {NID_ext_key_usage, "serverAuth,clientAuth"},
                                          {NID_subject_key_identifier, "hash"},
                                          {NID_authority_key_identifier, "keyid:always"},
                                          {NID_subject_alt_name, "URI:" + role_uri(role, subject)}}},
                          key_);
}

Result<Certificate> Authority::issue_for_request(ByteView request, Role role) const {
  STAMPEDE_TRY(const PublicKey subject, public_key_of_request(request));
  if (subject == public_key()) return fail(Code::peer_untrusted, "a request for the site's own key");
  return issue(subject, role);
}

}  // namespace stampede::trust
