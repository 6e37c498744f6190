// Properties that hold for every message.
#include <gtest/gtest.h>

#include "tests/wire/random_message.h"

namespace stampede::wire {
namespace {

constexpr std::size_t kTypes = std::variant_size_v<Message>;

Result<Message> decode_frame(ByteView frame) {
  STAMPEDE_TRY(const FrameHeader header, decode_header(frame.first(kHeaderSize)));
  return decode(header, Buffer(frame.subspan(kHeaderSize)));
}

TEST(Codec, WhatIsEncodedDecodesToItself) {
  SeededRandom random(1);
  Maker maker(random);
  for (std::size_t type = 1; type <= kTypes; ++type) {
    for (int round = 0; round < 60; ++round) {
      const Message message = maker.message(type);
      const Bytes frame = encode(message);
      ASSERT_EQ(load_le<std::uint32_t>(frame), frame.size() - kHeaderSize);
      const auto back = decode_frame(frame);
      ASSERT_TRUE(back) << "type " << type << ": " << back.error().message;
      ASSERT_TRUE(*back == message) << "type " << type;
    }
  }
}

TEST(Codec, EveryShorterOrLongerPayloadIsRefused) {
  SeededRandom random(2);
  Maker maker(random);
  for (std::size_t type = 1; type <= kTypes; ++type) {
    const Bytes frame = encode(maker.message(type));
    const std::size_t step = frame.size() / 512 + 1;
    for (std::size_t size = 0; size + kHeaderSize < frame.size(); size += step) {
      const FrameHeader header{static_cast<std::uint8_t>(type), static_cast<std::uint32_t>(size)};
      const auto got = decode(header, Buffer(ByteView(frame).subspan(kHeaderSize, size)));
      ASSERT_FALSE(got) << "type " << type << " cut to " << size;
      ASSERT_EQ(got.error().code, Code::protocol);
    }
    Bytes longer(frame.begin() + kHeaderSize, frame.end());
    longer.push_back({});
    EXPECT_FALSE(
        decode({static_cast<std::uint8_t>(type), static_cast<std::uint32_t>(longer.size())}, Buffer(ByteView(longer))))
        << type;
  }
}

// One encoding for one message: whatever decodes encodes to the same bytes.
TEST(Codec, AlteredFramesAreRefusedOrMeanExactlyWhatTheySay) {
  SeededRandom random(3);
  Maker maker(random);
  for (int round = 0; round < 3000; ++round) {
    Bytes frame = encode(maker.message(1 + random.below(kTypes)));
    if (frame.size() > 4096) continue;
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      frame[random.below(frame.size())] ^= static_cast<std::byte>(1U << random.below(8));
    }
    if (const auto got = decode_frame(frame)) {
      ASSERT_EQ(encode(*got), frame);
    }
  }
}

TEST(Codec, SpanHeaderIsTheFrameWithoutItsBytes) {
  SeededRandom random(4);
  Maker maker(random);
  for (int round = 0; round < 50; ++round) {
    const Message message = maker.message(15);
    const auto& data = std::get<SpanData>(message);
    Bytes frame = encode_span_header(data.span, data.parts, data.bytes.size());
    std::ranges::copy(ByteView(data.bytes), std::back_inserter(frame));
    ASSERT_EQ(frame, encode(message));
  }
}

}  // namespace
}  // namespace stampede::wire
