// What is refused, at the exact limit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "transport/wire/messages.h"

namespace stampede::wire {
namespace {

using ::testing::HasSubstr;

Bytes header(std::uint32_t payload, std::uint8_t type, std::uint8_t padding = 0) {
  return ByteWriter().u32(payload).u8(type).u8(0).u8(0).u8(padding).take();
}
std::string refusal(std::uint8_t type, const Bytes& payload) {
  const auto got = decode({type, static_cast<std::uint32_t>(payload.size())}, Buffer(payload));
  if (got) return "accepted";
  EXPECT_EQ(got.error().code, Code::protocol);
  return got.error().message;
}

TEST(Header, TakesEachTypeUpToItsOwnLimit) {
  struct Case {
    std::uint8_t type;
    std::uint32_t least, greatest;
  };
  for (const Case& c : std::initializer_list<Case>{{1, 20, 84},
                                                   {2, 5, 5 + 1024},
                                                   {8, 41, 41 + (16 << 20)},
                                                   {9, 42, 42 + (2 << 20)},
                                                   {10, 8, 8 + 4096 * (32 + 4 + 45 + 2)},
                                                   {11, 4, 4 + 4 * 65536},
                                                   {14, 4, 4},
                                                   {15, 12, 12 + 5 * 4096 + (1 << 20)},
                                                   {17, 26, 26},
                                                   {22, 8, 8},
                                                   {32, 4, 4 + 32 * 4096},
                                                   {34, 8, 8 + 41 * 1024 + (1 << 20)}}) {
    EXPECT_TRUE(decode_header(header(c.least, c.type))) << int{c.type};
    EXPECT_TRUE(decode_header(header(c.greatest, c.type))) << int{c.type};
    EXPECT_FALSE(decode_header(header(c.least - 1, c.type))) << int{c.type};
    EXPECT_FALSE(decode_header(header(c.greatest + 1, c.type))) << int{c.type};
    EXPECT_LE(c.greatest, kMaxPayload);
  }
}

TEST(Header, RefusesUnknownTypesPaddingAndShortInput) {
  EXPECT_FALSE(decode_header(header(8, 0)));
  EXPECT_FALSE(decode_header(header(8, 23)));
  EXPECT_FALSE(decode_header(header(8, 255)));
  EXPECT_FALSE(decode_header(header(8, 22, 1)));
  EXPECT_FALSE(decode_header(ByteView(header(8, 22)).first(7)));
  EXPECT_FALSE(decode_header({}));
  EXPECT_FALSE(decode({0, 0}, {}));
  EXPECT_FALSE(decode({200, 0}, {}));
}

TEST(Decode, NamesTheMessageAndTheField) {
  EXPECT_THAT(refusal(1, ByteWriter().u32(0x12345678).u16(1).u16(1).u64(0).text("x").take()), HasSubstr("Hello: magic"));
  EXPECT_THAT(refusal(5, ByteWriter().text(std::string(64, 'a')).text("t").take()), HasSubstr("Resolve: name"));
  EXPECT_THAT(refusal(14, ByteWriter().u32(kMaxSpans).take()), HasSubstr("Request: span above"));
}

TEST(Decode, RefusesVersionsThatAreNoRange) {
  const auto hello = [](std::uint16_t low, std::uint16_t high) {
    return ByteWriter().u32(0x504D5453).u16(low).u16(high).u64(0).text("x").take();
  };
  EXPECT_EQ(refusal(1, hello(1, 1)), "accepted");
  EXPECT_EQ(refusal(1, hello(1, 9)), "accepted");
  EXPECT_NE(refusal(1, hello(0, 1)), "accepted");
  EXPECT_NE(refusal(1, hello(2, 1)), "accepted");
}

TEST(Decode, RefusesControlCharactersInText) {
  EXPECT_EQ(refusal(2, ByteWriter()
                           .u8(1)
                           .text("disk gr\xc3\xb6\xc3\x9f"
                                 "e")
                           .take()),
            "accepted");
  EXPECT_NE(refusal(2, ByteWriter().u8(1).text("a\nb").take()), "accepted");
  EXPECT_NE(refusal(5, ByteWriter().text(std::string("a\0b", 3)).text("t").take()), "accepted");
}

TEST(Decode, RefusesBitmapsThatAreNotOfTheirCount) {
  const auto join = [](std::uint32_t spans, std::initializer_list<std::uint8_t> have) {
    ByteWriter writer;
    writer.raw(Bytes(32)).u16(0).u32(spans).u32(static_cast<std::uint32_t>(have.size()));
    for (const std::uint8_t byte : have) writer.u8(byte);
    return writer.take();
  };
  EXPECT_EQ(refusal(9, join(0, {})), "accepted");
  EXPECT_EQ(refusal(9, join(9, {0xFF, 0x01})), "accepted");
  EXPECT_EQ(refusal(9, join(16, {0xFF, 0xFF})), "accepted");
  EXPECT_NE(refusal(9, join(9, {0xFF})), "accepted");
  EXPECT_NE(refusal(9, join(8, {0xFF, 0})), "accepted");
  EXPECT_NE(refusal(9, join(9, {0xFF, 0x02})), "accepted");
  EXPECT_THAT(refusal(9, join(0xFFFFFFFF, {})), HasSubstr("span_count"));
}

TEST(Decode, RefusesSpansWhosePartsAreNotTheirBytes) {
  const auto span = [](std::initializer_list<std::uint32_t> parts, std::size_t bytes) {
    ByteWriter writer;
    writer.u32(3).u32(static_cast<std::uint32_t>(parts.size()));
    for (const std::uint32_t part : parts) writer.u8(1).u32(part);
    return writer.sized(Bytes(bytes)).take();
  };
  EXPECT_EQ(refusal(15, span({2, 3}, 5)), "accepted");
  EXPECT_EQ(refusal(15, span({kMaxSpanBytes}, kMaxSpanBytes)), "accepted");
  EXPECT_NE(refusal(15, span({2, 3}, 6)), "accepted");
  EXPECT_NE(refusal(15, span({}, 1)), "accepted");
  EXPECT_NE(refusal(15, span({0xFFFFFFFF, 2}, 1)), "accepted");  // a sum that wraps in 32 bits
  EXPECT_NE(refusal(15, span({kMaxSpanBytes + 1}, kMaxSpanBytes + 1)), "accepted");
}

TEST(Decode, RefusesPushedChunksOfSizesThatNoneHas) {
  const auto chunk = [](unsigned codec, std::uint32_t plain, std::uint32_t sealed, std::size_t bytes) {
    ByteWriter writer;
    writer.u32(1).raw(Bytes(32)).u8(static_cast<std::uint8_t>(codec)).u32(plain).u32(sealed);
    return refusal(34, writer.sized(Bytes(bytes)).take());
  };
  EXPECT_EQ(chunk(1, 4096, 5, 5), "accepted");
  EXPECT_EQ(chunk(0, kMaxPushBytes, kMaxPushBytes, kMaxPushBytes), "accepted");
  EXPECT_NE(chunk(2, 4096, 5, 5), "accepted");
  EXPECT_NE(chunk(1, 4096, 5, 6), "accepted");
  EXPECT_NE(chunk(1, 4, 5, 5), "accepted");
  EXPECT_NE(chunk(1, 0, 0, 0), "accepted");
  EXPECT_NE(chunk(1, 4096, 0, 0), "accepted");
  EXPECT_NE(chunk(1, kMaxPushBytes + 1, 5, 5), "accepted");
  EXPECT_NE(chunk(1, 0xFFFFFFFF, 0xFFFFFFFF, 5), "accepted");
  const auto bombs = [](std::uint32_t count) {
    ByteWriter writer;
    writer.u32(count);
    for (std::uint32_t i = 0; i < count; ++i) writer.raw(Bytes(32)).u8(1).u32(kMaxPushBytes).u32(1);
    return refusal(34, writer.sized(Bytes(count)).take());
  };
  EXPECT_EQ(bombs(kMaxPushPlain / kMaxPushBytes), "accepted");
  EXPECT_NE(bombs(kMaxPushPlain / kMaxPushBytes + 1), "accepted");
}

TEST(Decode, RefusesAnswersToOffersThatAreNotOfTheirCount) {
  const auto lacks = [](std::uint32_t count, std::initializer_list<std::uint8_t> bits) {
    ByteWriter writer;
    writer.u32(count).u32(static_cast<std::uint32_t>(bits.size()));
    for (const std::uint8_t byte : bits) writer.u8(byte);
    return refusal(33, writer.take());
  };
  EXPECT_EQ(lacks(0, {}), "accepted");
  EXPECT_EQ(lacks(9, {0xFF, 1}), "accepted");
  EXPECT_NE(lacks(9, {0xFF}), "accepted");
  EXPECT_NE(lacks(9, {0xFF, 2}), "accepted");
  EXPECT_NE(lacks(0xFFFFFFFF, {1}), "accepted");
  EXPECT_NE(refusal(32, ByteWriter().u32(kMaxOffer + 1).raw(Bytes((kMaxOffer + 1) * 32)).take()), "accepted");
}

TEST(Decode, RefusesHostileCounts) {
  EXPECT_NE(refusal(7, ByteWriter().u32(0xFFFFFFFF).take()), "accepted");
  EXPECT_NE(refusal(10, ByteWriter().u32(4096).u32(0).take()), "accepted");
  EXPECT_NE(refusal(11, ByteWriter().u32(65536).u32(1).take()), "accepted");
  EXPECT_NE(refusal(3, ByteWriter().raw(Bytes(32)).u32(0xFFFFFFFF).take()), "accepted");
  EXPECT_NE(refusal(7, ByteWriter().u32(65).raw(Bytes(std::size_t{65} * 32)).take()), "accepted");
  EXPECT_EQ(refusal(7, ByteWriter().u32(64).raw(Bytes(std::size_t{64} * 32)).take()), "accepted");
}

TEST(Decode, TakesOnlyZeroAndOneForABool) {
  for (const unsigned value : {0U, 1U, 2U, 255U}) {
    const Bytes payload = ByteWriter().u8(4).u8(static_cast<std::uint8_t>(value)).raw(Bytes(24)).take();
    EXPECT_EQ(refusal(17, payload) == "accepted", value <= 1) << value;
  }
}

TEST(Encode, CutsWordsForPeople) {
  const auto text_of = [](std::string text) {
    const Bytes frame = encode(ErrorMessage{40, std::move(text)});
    const auto got =
        decode(*decode_header(ByteView(frame).first(kHeaderSize)), Buffer(ByteView(frame).subspan(kHeaderSize)));
    return got ? std::get<ErrorMessage>(*got).text : "refused: " + got.error().message;
  };
  EXPECT_EQ(text_of(std::string(1024, 'a')), std::string(1024, 'a'));
  EXPECT_EQ(text_of(std::string(5000, 'a')), std::string(1024, 'a'));
  EXPECT_EQ(text_of(std::string(1023, 'a') + "\xc3\xb6"), std::string(1023, 'a'));  // no half character
  EXPECT_EQ(text_of(std::string(1022, 'a') + "\xc3\xb6"), std::string(1022, 'a') + "\xc3\xb6");
  EXPECT_EQ(text_of("one\ntwo\x7f"), "one two ");
}

TEST(Encode, RefusesWhatTheOtherSideWouldRefuse) {
  EXPECT_THROW(encode(Resolve{std::string(64, 'a'), "t"}), std::invalid_argument);
  EXPECT_THROW(encode(Resolve{"a\nb", "t"}), std::invalid_argument);
  EXPECT_THROW(encode(Request{kMaxSpans}), std::invalid_argument);
  EXPECT_THROW(encode(Fetch{std::vector<Digest>(65)}), std::invalid_argument);
  EXPECT_THROW(encode(Members{std::vector<Member>(kMaxMembers + 1), 0}), std::invalid_argument);
  EXPECT_THROW(encode(Have{std::vector<std::uint32_t>(65537)}), std::invalid_argument);
  EXPECT_THROW(encode(Join{{}, 0, 9, Bytes(1)}), std::invalid_argument);
  EXPECT_THROW(encode(Hello{2, 1, 0, ""}), std::invalid_argument);
  EXPECT_THROW(encode(SpanData{0, {{1, 5}}, Buffer(4)}), std::invalid_argument);
  EXPECT_THROW(encode_span_header(0, std::array{SpanPart{1, 5}}, 4), std::invalid_argument);
  EXPECT_THROW(encode_span_header(0, std::vector<SpanPart>(kMaxSpanParts + 1), 0), std::invalid_argument);
  EXPECT_THROW(encode_span_header(0, std::array{SpanPart{0, kMaxSpanBytes + 1}}, kMaxSpanBytes + 1), std::invalid_argument);
}

TEST(Agree, TakesTheNewestThatBothSpeak) {
  const auto agreed = [](std::uint16_t a, std::uint16_t b, std::uint16_t c, std::uint16_t d) {
    return agree(Hello{a, b, 0, "here"}, Hello{c, d, 0, "there"}).value_or(0);
  };
  EXPECT_EQ(agreed(1, 1, 1, 1), 1);
  EXPECT_EQ(agreed(1, 3, 2, 5), 3);
  EXPECT_EQ(agreed(2, 5, 1, 3), 3);
  EXPECT_EQ(agreed(1, 2, 3, 4), 0);
  EXPECT_EQ(agreed(3, 4, 1, 2), 0);
  const auto error = agree(Hello{1, 2, 0, ""}, Hello{3, 4, 0, "stampede 9"}).error();
  EXPECT_EQ(error.code, Code::protocol);
  EXPECT_THAT(error.message, HasSubstr("1 to 2 here, 3 to 4 there (stampede 9)"));
}

}  // namespace
}  // namespace stampede::wire
