#include <gtest/gtest.h>

#include "src/trust/certificate_impl.h"
#include "tests/scratch.h"

namespace stampede::trust {
namespace {

using Extensions = std::vector<std::pair<int, std::string>>;

class CheckPeer : public testing::Test {
 protected:
  Result<PeerIdentity> check(const Certificate& leaf, const std::vector<Certificate>& chain, const PublicKey& of_site) {
    std::vector<std::shared_ptr<x509_st>> decoded;
    std::vector<x509_st*> native;
    for (const auto& certificate : chain) {
      decoded.push_back(decode_certificate(certificate).value());
      native.push_back(decoded.back().get());
    }
    return check_peer(decode_certificate(leaf).value().get(), native, of_site);
  }
  Result<PeerIdentity> check(const Certificate& leaf) { return check(leaf, {leaf, authority.certificate()}, site); }

  void expect_refused(const Result<PeerIdentity>& peer, std::string_view reason) {
    ASSERT_FALSE(peer);
    EXPECT_EQ(peer.error().code, Code::peer_untrusted);
    EXPECT_NE(peer.error().message.find(reason), std::string::npos) << peer.error().message;
  }

  // What Authority::issue makes, but with these extensions.
  Certificate crafted(const Extensions& extensions) {
    const auto ca = decode_certificate(authority.certificate()).value();
    return make_certificate({.subject = node, .common_name = "crafted", .issuer = ca.get(), .extensions = extensions},
                            ca_key);
  }
  Extensions usual(const std::string& names) const {
    return {{NID_basic_constraints, "critical,CA:FALSE"},   {NID_key_usage, "critical,digitalSignature"},
            {NID_ext_key_usage, "serverAuth,clientAuth"},   {NID_subject_key_identifier, "hash"},
            {NID_authority_key_identifier, "keyid:always"}, {NID_subject_alt_name, names}};
  }

  Scratch folder;
  Authority authority = Authority::load_or_create(folder.path()).value();
  PublicKey site = authority.public_key();
  PrivateKey ca_key = PrivateKey::load(folder / "ca.key").value();
  PrivateKey node_key = PrivateKey::generate();
  PublicKey node = node_key.public_key();
};

TEST_F(CheckPeer, SaysWhoItIs) {
  for (const Role role : {Role::depot, Role::node}) {
    const auto peer = check(authority.issue(node, role));
    ASSERT_TRUE(peer) << peer.error().message;
    EXPECT_EQ(peer->role, role);
    EXPECT_EQ(peer->key, node);
  }
}

TEST_F(CheckPeer, TheOrderOfTheChainDoesNotMatter) {
  const Scratch other_folder;
  const auto stranger = Authority::load_or_create(other_folder.path()).value();
  const Certificate leaf = authority.issue(node, Role::node);
  EXPECT_TRUE(check(leaf, {stranger.certificate(), authority.certificate(), leaf}, site));
  expect_refused(check(leaf, {leaf}, site), "another site");
  expect_refused(check(leaf, {}, site), "another site");
}

TEST_F(CheckPeer, AKnownCaNeedsNoChain) {
  const auto leaf = decode_certificate(authority.issue(node, Role::node)).value();
  EXPECT_TRUE(check_peer(leaf.get(), {}, site, &authority.certificate()));
  const Scratch other_folder;
  const auto stranger = Authority::load_or_create(other_folder.path()).value();
  expect_refused(check_peer(leaf.get(), {}, site, &stranger.certificate()), "another site");
  expect_refused(check_peer(leaf.get(), {}, stranger.public_key(), &stranger.certificate()), "not certified by this site");
  expect_refused(check_peer(nullptr, {}, site, &authority.certificate()), "no certificate");
}

TEST_F(CheckPeer, AnotherSite) {
  const Scratch other_folder;
  const auto stranger = Authority::load_or_create(other_folder.path()).value();
  const Certificate theirs = stranger.issue(node, Role::node);
  expect_refused(check(theirs, {theirs, stranger.certificate()}, site), "another site");
  expect_refused(check(theirs, {stranger.certificate(), authority.certificate()}, site), "not certified by this site");
}

TEST_F(CheckPeer, ASelfMadeCaOfTheSameName) {
  const PrivateKey impostor = PrivateKey::generate();
  const auto real = decode_certificate(authority.certificate()).value();
  const Certificate ca = make_certificate({.subject = impostor.public_key(),
                                           .common_name = common_name_of("site", site),
                                           .issuer = nullptr,
                                           .extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                                          {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                                          {NID_subject_key_identifier, "hash"}}},
                                          impostor);
  const auto fake = decode_certificate(ca).value();
  ASSERT_EQ(X509_NAME_cmp(X509_get_subject_name(real.get()), X509_get_subject_name(fake.get())), 0);
  // Signed by the impostor in the real CA's name; once with its own key identifier, once with the real one.
  for (const x509_st* issuer : {fake.get(), real.get()}) {
    const Certificate leaf = make_certificate(
        {.subject = node, .common_name = "n", .issuer = issuer, .extensions = usual("URI:" + role_uri(Role::depot, node))},
        impostor);
    expect_refused(check(leaf, {leaf, ca}, site), "another site");
    expect_refused(check(leaf, {leaf, ca, authority.certificate()}, site), "not certified by this site");
  }
}

TEST_F(CheckPeer, ACertificateOfTheSitesKeyThatTheSiteDidNotSign) {
  // Anybody can write the site's public key into a certificate of their own.
  const PrivateKey impostor = PrivateKey::generate();
  const Certificate ca = make_certificate({.subject = site,
                                           .common_name = "site",
                                           .issuer = nullptr,
                                           .extensions = {{NID_basic_constraints, "critical,CA:TRUE"},
                                                          {NID_key_usage, "critical,keyCertSign"},
                                                          {NID_subject_key_identifier, "hash"}}},
                                          impostor);
  const auto fake = decode_certificate(ca).value();
  const Certificate leaf = make_certificate(
      {.subject = node, .common_name = "n", .issuer = fake.get(), .extensions = usual("URI:" + role_uri(Role::node, node))},
      impostor);
  expect_refused(check(leaf, {leaf, ca}, site), "not certified by this site");
}

TEST_F(CheckPeer, ALeafDoesNotCertify) {
  const Certificate middle = authority.issue(node, Role::node);
  const auto issuer = decode_certificate(middle).value();
  const PublicKey next = PrivateKey::generate().public_key();
  const Certificate leaf = make_certificate({.subject = next,
                                             .common_name = "n",
                                             .issuer = issuer.get(),
                                             .extensions = usual("URI:" + role_uri(Role::node, next))},
                                            node_key);
  expect_refused(check(leaf, {leaf, middle, authority.certificate()}, site), "not certified by this site");
}

TEST_F(CheckPeer, TheCaIsNoPeer) {
  EXPECT_FALSE(check(authority.certificate()));
  Extensions extensions = usual("URI:" + role_uri(Role::node, node));
  extensions[0].second = "critical,CA:TRUE";
  extensions[1].second = "critical,digitalSignature,keyCertSign";
  expect_refused(check(crafted(extensions)), "certificate authority");
}

TEST_F(CheckPeer, TheRoleMustBeSaidExactly) {
  ASSERT_TRUE(check(crafted(usual("URI:" + role_uri(Role::node, node)))));
  const std::string hex = to_string(node);
  for (const std::string& uri : std::initializer_list<std::string>{
           "stampede:admin:" + hex, "stampede::" + hex, "Stampede:node:" + hex, "stampede:node:" + hex + "0",
           "stampede:node:", "stampede:node:" + hex + ":depot", "stampede:node", "x:stampede:node:" + hex,
           "stampede:node:" + short_name(node), "stampede:node:" + to_string(PrivateKey::generate().public_key())})
    expect_refused(check(crafted(usual("URI:" + uri))), "states no role");
  expect_refused(check(crafted(usual("DNS:node.example"))), "not a URI");
  expect_refused(check(crafted(usual("URI:" + role_uri(Role::node, node) + ",URI:" + role_uri(Role::depot, node)))),
                 "exactly one");
  Extensions nameless = usual("");
  nameless.pop_back();
  expect_refused(check(crafted(nameless)), "exactly one");
}

TEST_F(CheckPeer, MustBeMadeForBothEndsOfTls) {
  for (const char* usage : {"serverAuth", "clientAuth", "codeSigning"}) {
    Extensions extensions = usual("URI:" + role_uri(Role::node, node));
    extensions[2].second = usage;
    EXPECT_FALSE(check(crafted(extensions))) << usage;
  }
}

TEST_F(CheckPeer, DatesAreNotChecked) {
  const auto expired = decode_certificate(authority.issue(node, Role::node)).value();
  ASSERT_EQ(ASN1_TIME_set_string_X509(X509_getm_notAfter(expired.get()), "19710101000000Z"), 1);
  ASSERT_GT(X509_sign(expired.get(), ca_key.native(), nullptr), 0);
  ASSERT_LT(X509_cmp_current_time(X509_get0_notAfter(expired.get())), 0);
  const auto peer = check_peer(expired.get(), {}, site, &authority.certificate());
  EXPECT_TRUE(peer) << peer.error().message;
}

TEST_F(CheckPeer, NoAlterationGivesAnotherIdentity) {
  const Certificate leaf = authority.issue(node, Role::node);
  int refused = 0;
  for (std::size_t bit = 0; bit < leaf.size() * 8; ++bit) {
    Certificate altered = leaf;
    altered[bit / 8] ^= std::byte(1U << bit % 8);
    const auto decoded = decode_certificate(altered);
    const auto peer = decoded ? check_peer(decoded->get(), {}, site, &authority.certificate()) : pass(decoded.error());
    if (!peer) ++refused;
    if (peer) ADD_FAILURE() << "bit " << bit << " is not protected";
  }
  EXPECT_EQ(refused, static_cast<int>(leaf.size() * 8));
}

TEST_F(CheckPeer, WhatIsNoCertificate) {
  const Certificate leaf = authority.issue(node, Role::node);
  for (std::size_t size = 0; size < leaf.size(); ++size) EXPECT_FALSE(decode_certificate(ByteView(leaf).first(size)));
  Certificate longer = leaf;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_certificate(longer));
  EXPECT_FALSE(decode_certificate(Bytes(1 << 20)));
}

}  // namespace
}  // namespace stampede::trust
