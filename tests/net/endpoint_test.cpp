#include "transport/net/endpoint.h"

#include <gtest/gtest.h>

namespace stampede::net {
namespace {

TEST(Endpoint, ReadsWhatPeopleWrite) {
  EXPECT_EQ(Endpoint::parse("10.0.0.1:80", 7440), (Endpoint{"10.0.0.1", 80}));
  EXPECT_EQ(Endpoint::parse("depot.lan", 7440), (Endpoint{"depot.lan", 7440}));
  EXPECT_EQ(Endpoint::parse(":0", 7440), (Endpoint{"", 0}));
  EXPECT_EQ(Endpoint::parse("[fe80::1]:65535", 7440), (Endpoint{"fe80::1", 65535}));
  EXPECT_EQ(Endpoint::parse("[::1]", 7440), (Endpoint{"::1", 7440}));
}

TEST(Endpoint, RefusesWhatIsNone) {
  for (const char* text : {"a:b", "a:65536", "a:-1", "fe80::1", "[::1", "[::1]x", "a:", "a:80 "})
    EXPECT_FALSE(Endpoint::parse(text, 7440)) << text;
}

TEST(Endpoint, WritesWhatItReads) {
  for (const char* text : {"10.0.0.1:80", "[fe80::1]:7440"}) EXPECT_EQ(Endpoint::parse(text, 1)->text(), text);
}

}  // namespace
}  // namespace stampede::net
