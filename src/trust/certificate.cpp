#include "src/trust/certificate_impl.h"

#include <openssl/pem.h>

#include "src/base/file.h"
#include "src/trust/publish_impl.h"

namespace stampede::trust {

namespace {

void set_random_serial(X509* certificate) {
  const BignumPtr number(BN_new());
  // 127 bits with the top one set: positive, of one length, and unpredictable.
  must(number && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr,
       "choosing a serial number");
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  must(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "adding a certificate extension");
}

}  // namespace

void set_common_name(X509_NAME* name, const std::string& text) {
  must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, octets(as_bytes(text)), static_cast<int>(text.size()), -1, 0) ==
           1,
       "naming a certificate");
}

std::string common_name_of(std::string_view kind, const PublicKey& key) {
  return fmt::format("stampede {} {}", kind, short_name(key));
}

std::string role_uri(Role role, const PublicKey& key) {
  return fmt::format("stampede:{}:{}", name_of(role), to_string(key));
}

Certificate make_certificate(const CertificateSpec& spec, const PrivateKey& signer) {
  const X509Ptr certificate(X509_new());
  must(certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1, "making a certificate");
  set_random_serial(certificate.get());
  set_common_name(X509_get_subject_name(certificate.get()), spec.common_name);
  const X509* issuer = spec.issuer == nullptr ? certificate.get() : spec.issuer;
  must(X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) == 1 &&
           ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate.get()), "19700101000000Z") == 1 &&
           ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate.get()), "99991231235959Z") == 1 &&
           X509_set_pubkey(certificate.get(), native_public(spec.subject).get()) == 1,
       "filling in a certificate");
  // The context only reads the issuer; its type says otherwise.
  for (const auto& [nid, value] : spec.extensions) add_extension(certificate.get(), const_cast<X509*>(issuer), nid, value);
  must(X509_sign(certificate.get(), signer.native(), nullptr) > 0, "signing a certificate");
  return to_der<i2d_X509>(certificate.get());
}

Result<std::shared_ptr<x509_st>> decode_certificate(ByteView der) {
  if (der.size() > kMaxDer)
    return fail(Code::peer_untrusted, "a certificate of {} bytes: more than {}", der.size(), kMaxDer);
  const unsigned char* at = octets(der);
  std::shared_ptr<X509> certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
  if (!certificate) return fail(Code::peer_untrusted, "not a certificate: {}", openssl_reason());
  if (at != octets(der) + der.size()) return fail(Code::peer_untrusted, "bytes follow the certificate");
  return certificate;
}

Result<Certificate> load_certificate(const std::filesystem::path& path) {
  STAMPEDE_TRY(const Bytes pem, read_file(path, Size{4 * kMaxDer}));
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  must(bio != nullptr, "reading a certificate");
  const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return fail(Code::usage, "{} is not a certificate in PEM: {}", path.string(), openssl_reason());
  return to_der<i2d_X509>(certificate.get());
}

Result<bool> publish_certificate(const std::filesystem::path& path, const Certificate& certificate) {
  STAMPEDE_TRY(const auto decoded, decode_certificate(certificate));
  const BioPtr bio(BIO_new(BIO_s_mem()));
  must(bio && PEM_write_bio_X509(bio.get(), decoded.get()) == 1, "encoding a certificate");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return publish(path, as_bytes({text, static_cast<std::size_t>(size)}), 0644);
}

}  // namespace stampede::trust
