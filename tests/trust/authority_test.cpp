#include "src/trust/authority.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "src/trust/certificate_impl.h"
#include "tests/scratch.h"

namespace stampede::trust {
namespace {

TEST(Authority, IsMadeOnceAndFoundAgain) {
  const Scratch folder;
  const auto first = Authority::load_or_create(folder / "new/ca");
  ASSERT_TRUE(first) << first.error().message;
  const auto second = Authority::load_or_create(folder / "new/ca");
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(first->public_key(), second->public_key());
  EXPECT_EQ(first->certificate(), second->certificate());
  EXPECT_NE(first->public_key(), Authority::load_or_create(folder / "other")->public_key());
}

TEST(Authority, ALostCertificateIsMadeAgainFromTheKey) {
  const Scratch folder;
  const auto key = Authority::load_or_create(folder.path())->public_key();
  std::filesystem::remove(folder / "ca.crt");
  const auto again = Authority::load_or_create(folder.path());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->public_key(), key);
}

TEST(Authority, RefusesACertificateOfAnotherKey) {
  const Scratch folder;
  ASSERT_TRUE(Authority::load_or_create(folder / "a"));
  ASSERT_TRUE(Authority::load_or_create(folder / "b"));
  std::filesystem::copy_file(folder / "a/ca.crt", folder / "b/ca.crt", std::filesystem::copy_options::overwrite_existing);
  const auto mixed = Authority::load_or_create(folder / "b");
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().code, Code::usage);
  std::ofstream(folder / "b/ca.crt") << "nonsense";
  EXPECT_FALSE(Authority::load_or_create(folder / "b"));
}

TEST(Authority, MadeAtOnceByMany) {
  const Scratch folder;
  std::vector<Certificate> certificates(6);
  {
    std::vector<std::jthread> threads;
    for (auto& certificate : certificates)
      threads.emplace_back([&] {
        if (const auto authority = Authority::load_or_create(folder.path())) certificate = authority->certificate();
      });
  }
  ASSERT_FALSE(certificates[0].empty());
  for (const auto& certificate : certificates) EXPECT_EQ(certificate, certificates[0]);
}

TEST(Authority, SerialsDiffer) {
  const Scratch folder;
  const auto authority = Authority::load_or_create(folder.path());
  const PublicKey subject = PrivateKey::generate().public_key();
  const auto a = decode_certificate(authority->issue(subject, Role::node));
  const auto b = decode_certificate(authority->issue(subject, Role::node));
  const BignumPtr first(ASN1_INTEGER_to_BN(X509_get0_serialNumber(a->get()), nullptr));
  const BignumPtr second(ASN1_INTEGER_to_BN(X509_get0_serialNumber(b->get()), nullptr));
  EXPECT_EQ(BN_num_bits(first.get()), 127);
  EXPECT_FALSE(BN_is_negative(first.get()));
  EXPECT_NE(BN_cmp(first.get(), second.get()), 0);
}

TEST(Authority, DatesAreForEver) {
  const Scratch folder;
  const auto authority = Authority::load_or_create(folder.path());
  for (const auto& certificate :
       {authority->certificate(), authority->issue(PrivateKey::generate().public_key(), Role::depot)}) {
    const auto decoded = decode_certificate(certificate);
    std::tm from{};
    std::tm until{};
    ASSERT_EQ(ASN1_TIME_to_tm(X509_get0_notBefore(decoded->get()), &from), 1);
    ASSERT_EQ(ASN1_TIME_to_tm(X509_get0_notAfter(decoded->get()), &until), 1);
    EXPECT_EQ(from.tm_year, 70);
    EXPECT_EQ(until.tm_year, 9999 - 1900);
  }
}

TEST(Request, GivesItsKey) {
  const PrivateKey key = PrivateKey::generate();
  const auto found = public_key_of_request(make_request(key));
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(*found, key.public_key());
}

TEST(Request, EveryTruncationAndAlterationIsRefused) {
  const PrivateKey key = PrivateKey::generate();
  const Bytes request = make_request(key);
  for (std::size_t size = 0; size < request.size(); ++size) {
    const auto found = public_key_of_request(ByteView(request).first(size));
    ASSERT_FALSE(found) << size;
    EXPECT_EQ(found.error().code, Code::peer_untrusted);
  }
  for (std::size_t at = 0; at < request.size(); ++at) {
    Bytes altered = request;
    altered[at] ^= std::byte{1};
    EXPECT_FALSE(public_key_of_request(altered)) << at;
  }
  Bytes longer = request;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(public_key_of_request(longer));
  EXPECT_FALSE(public_key_of_request(Bytes(1 << 20)));
}

TEST(Request, IsAnsweredWithACertificate) {
  const Scratch folder;
  const auto authority = Authority::load_or_create(folder.path());
  const PrivateKey key = PrivateKey::generate();
  const auto certificate = authority->issue_for_request(make_request(key), Role::node);
  ASSERT_TRUE(certificate) << certificate.error().message;
  const auto peer =
      check_peer(decode_certificate(*certificate)->get(), {}, authority->public_key(), &authority->certificate());
  ASSERT_TRUE(peer) << peer.error().message;
  EXPECT_EQ(peer->key, key.public_key());

  EXPECT_FALSE(authority->issue_for_request(as_bytes("garbage"), Role::node));
  const auto own_key = PrivateKey::load(folder / "ca.key");
  EXPECT_FALSE(authority->issue_for_request(make_request(*own_key), Role::node));
}

}  // namespace
}  // namespace stampede::trust
