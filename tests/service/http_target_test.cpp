#include "src/service/http_target.h"

#include <gtest/gtest.h>

namespace stampede::service {
namespace {

const std::string kId = "1f2e" + std::string(60, 'a');

chunker::Sha256 digest() {
  chunker::Sha256 digest;
  std::ranges::copy(*from_hex(kId), digest.begin());
  return digest;
}

unsigned refused(std::string_view target) {
  const HttpAsk ask = parse_target(target);
  const auto* refusal = std::get_if<AskRefused>(&ask);
  return refusal == nullptr ? 0 : refusal->status;
}

TEST(HttpTarget, NamesAnIndex) {
  for (const char* target : {"/casync/debian:12.caibx", "/casync/debian%3A12.caibx", "/casync/debian%3a12.caib%78",
                             "http://depot:7480/casync/debian:12.caibx"})
    EXPECT_EQ(parse_target(target), HttpAsk(AskIndex{*chunker::ImageRef::parse("debian:12")})) << target;
  EXPECT_EQ(parse_target("/casync/debian.caibx"), HttpAsk(AskIndex{*chunker::ImageRef::parse("debian:latest")}));
  EXPECT_EQ(parse_target("/casync/debian:1.2.caibx"), HttpAsk(AskIndex{*chunker::ImageRef::parse("debian:1.2")}));
  EXPECT_EQ(parse_target("/casync/fixed/debian:12.caibx"), HttpAsk(AskIndex{*chunker::ImageRef::parse("debian:12"), true}));
  EXPECT_EQ(parse_target("/casync/debian@" + kId + ".caibx"), HttpAsk(AskIndex{*chunker::ImageRef::parse("debian@" + kId)}));
}

TEST(HttpTarget, NamesAChunk) {
  for (const char* store : {"store", "default.castr", "fixed/default.castr"})
    EXPECT_EQ(parse_target(fmt::format("/casync/{}/1f2e/{}.cacnk", store, kId)), HttpAsk(AskChunk{{digest()}}));
  EXPECT_EQ(parse_target("/manifest/" + kId), HttpAsk(AskManifest{{digest()}}));
}

TEST(HttpTarget, RefusesAllElse) {
  const std::string chunk = "/casync/store/1f2e/" + kId + ".cacnk";
  for (const std::string& bad : {std::string(),
                                 std::string("*"),
                                 std::string("casync/debian:12.caibx"),
                                 std::string("http://depot"),
                                 std::string("/casync/debian%3.caibx"),
                                 std::string("/casync/debian%00:12.caibx"),
                                 std::string("/casync/de bian.caibx"),
                                 std::string("/casync/deb\0ian.caibx", 20),
                                 std::string("/casync/%2e%2e%2f%2e%2e%2fetc%2fpasswd.caibx"),
                                 std::string("/casync/..caibx"),
                                 std::string("/casync/.caibx"),
                                 std::string("/casync/DEBIAN:12.caibx"),
                                 "/casync/" + std::string(300, 'a') + ".caibx",
                                 std::string("/casync/d\xc3\xa9j\xc3\xa0.caibx"),
                                 std::string("/casync/a:b@") + kId + ".caibx",
                                 "/casync/a@" + kId + "a.caibx",
                                 std::string("/casync/a@1234567.caibx"),
                                 "/casync/store/1f2f/" + kId + ".cacnk",
                                 "/casync/store/1f2e/" + kId,
                                 "/casync/store/1f2e/" + kId + "a.cacnk",
                                 std::string("/casync/store/1F2E/1F2E") + std::string(60, 'A') + ".cacnk",
                                 "/manifest/" + kId.substr(2),
                                 "/" + std::string(kMaxTarget, 'a')})
    EXPECT_EQ(refused(bad), 400U) << bad;
  for (const std::string& nothing :
       {std::string("/"), std::string("//"), std::string("/casync/fixed/"), std::string("/casync"), std::string("/casync/"),
        std::string("/casync/debian:12"), std::string("/casync/debian:12.caibx/"),
        std::string("/casync/debian:12.caibx?x=1"), std::string("//casync/debian:12.caibx"),
        std::string("/casync/../casync/debian:12.caibx"), std::string("/casync/./debian:12.caibx"),
        "/casync/other" + chunk.substr(13), "/casync/store/../" + kId + "/x",
        std::string("/casync/fixed/fixed/debian:12.caibx"), "/casync/fixed/" + kId + "x.caibx", std::string("/casync/fixed"),
        std::string("/keys/signing.key"), std::string("/casync/store/../../keys/signing.key")})
    EXPECT_NE(refused(nothing), 0U) << nothing;
  EXPECT_EQ(refused(chunk), 0U);
}

}  // namespace
}  // namespace stampede::service
