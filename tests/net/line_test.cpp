#include "transport/net/line.h"

#include <gtest/gtest.h>

#include "transport/net/remote_error.h"

namespace stampede::net {
namespace {

std::uint8_t type(const wire::Message& message) { return static_cast<std::uint8_t>(message.index() + 1); }

TEST(Line, ADepotTakesNoObjectsAndNoSpans) {
  for (const wire::Message& big : {wire::Message(wire::Object{}), wire::Message(wire::SpanData{}),
                                   wire::Message(wire::Members{}), wire::Message(wire::Enrolled{})})
    EXPECT_FALSE(may_arrive(Line::from_node, type(big), true)) << big.index();
  EXPECT_TRUE(may_arrive(Line::from_node, type(wire::Join{}), true));
  EXPECT_TRUE(may_arrive(Line::from_node, type(wire::Receipt{}), true));
  EXPECT_TRUE(may_arrive(Line::from_node, type(wire::MulticastReport{}), true));
  EXPECT_FALSE(may_arrive(Line::from_node, type(wire::MulticastOffer{}), true));
}

TEST(Line, OnlyNodesPush) {
  for (const wire::Message& pushed : {wire::Message(wire::PushStart{}), wire::Message(wire::PushOffer{}),
                                      wire::Message(wire::PushChunks{}), wire::Message(wire::PushEnd{})}) {
    EXPECT_TRUE(may_arrive(Line::from_node, type(pushed), true)) << pushed.index();
    EXPECT_FALSE(may_arrive(Line::from_node, type(pushed), false)) << pushed.index();
    EXPECT_FALSE(may_arrive(Line::to_depot, type(pushed), true)) << pushed.index();
    EXPECT_FALSE(may_arrive(Line::peers, type(pushed), true)) << pushed.index();
  }
}

TEST(Line, AStrangerCanOnlyEnrol) {
  EXPECT_TRUE(may_arrive(Line::from_node, type(wire::Hello{}), false));
  EXPECT_TRUE(may_arrive(Line::from_node, type(wire::Enrol{}), false));
  EXPECT_FALSE(may_arrive(Line::from_node, type(wire::Ping{}), false));
  EXPECT_FALSE(may_arrive(Line::from_node, type(wire::Join{}), false));
}

TEST(Line, PeersTradeSpansAndNoObjects) {
  EXPECT_TRUE(may_arrive(Line::peers, type(wire::SpanData{}), true));
  EXPECT_FALSE(may_arrive(Line::peers, type(wire::Object{}), true));
  EXPECT_FALSE(may_arrive(Line::peers, type(wire::Members{}), true));
  EXPECT_TRUE(may_arrive(Line::to_depot, type(wire::Object{}), true));
  EXPECT_FALSE(may_arrive(Line::to_depot, type(wire::Request{}), true));
  EXPECT_TRUE(may_arrive(Line::to_depot, type(wire::MulticastOffer{}), true));
  EXPECT_FALSE(may_arrive(Line::peers, type(wire::MulticastNews{}), true));
  EXPECT_TRUE(may_arrive(Line::peers, type(wire::Partial{}), true));
  EXPECT_FALSE(may_arrive(Line::to_depot, type(wire::Partial{}), true));
}

TEST(Line, NoTypeIsNoType) {
  for (const Line line : {Line::from_node, Line::to_depot, Line::peers})
    for (const int none : {0, 37, 38, 63, 64, 255}) EXPECT_FALSE(may_arrive(line, static_cast<std::uint8_t>(none), true));
}

TEST(RemoteError, NoByteOfADepotBecomesSuccessOrAFaultOfOurs) {
  for (int raw = 0; raw < 256; ++raw) {
    const Error error = remote_error({static_cast<std::uint8_t>(raw), "x"});
    EXPECT_NE(static_cast<int>(error.code), 0) << raw;
    const std::string_view group = class_of(error.code);
    EXPECT_TRUE(group == "trust" || group == "retryable" || group == "store" || error.code == Code::no_space ||
                error.code == Code::tag_taken)
        << raw << " " << group;
  }
}

TEST(RemoteError, KeepsWhatATargetCanActOn) {
  const auto code = [](Code told) { return remote_error({static_cast<std::uint8_t>(told), "x"}).code; };
  for (const Code kept : {Code::token_used, Code::peer_untrusted, Code::not_found, Code::busy, Code::protocol,
                          Code::no_space, Code::tag_taken})
    EXPECT_EQ(code(kept), kept);
  for (const Code theirs : {Code::internal, Code::usage, Code::write_failed, Code::read_only})
    EXPECT_EQ(code(theirs), Code::store_damaged);
  EXPECT_EQ(code(Code::interrupted), Code::unreachable);
  EXPECT_EQ(remote_error({0, "x"}).code, Code::protocol);
  EXPECT_EQ(remote_error({200, "x"}).code, Code::protocol);
  EXPECT_TRUE(passes({Code::busy, ""}));
  EXPECT_FALSE(passes({Code::protocol, ""}));
}

}  // namespace
}  // namespace stampede::net
