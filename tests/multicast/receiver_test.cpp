#include "transport/multicast/receiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/multicast/stream.h"

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::size_t kSymbol = 512;

class ReceiverTest : public testing::Test {
 protected:
  Receiver make(std::size_t memory = kReceiverMemory, std::uint32_t spans = 100) {
    return {{{spans, kSymbol}, memory}, Bitmap(spans), random_, now_};
  }
  static SampleSpan span(std::uint32_t index, std::size_t size) { return {index, sample_frame(index, size), kSymbol}; }
  std::optional<Received> send(Receiver& receiver, const SampleSymbol& symbol) {
    return receiver.packet(++sequence_, symbol.packet(), now_);
  }
  // Every data symbol but the first `lost` of each generation.
  std::optional<Received> send_data(Receiver& receiver, const SampleSpan& span, std::uint32_t lost = 0) {
    std::optional<Received> out;
    for (std::uint32_t g = 0; g < span.layout().generations(); ++g) {
      for (std::uint32_t i = lost; i < span.layout().k(g); ++i) {
        if (auto got = send(receiver, span.symbol(g, i))) out = std::move(got);
      }
    }
    return out;
  }
  std::optional<Report> next_report(Receiver& receiver) {
    for (int i = 0; i < 1000; ++i) {
      now_ = receiver.next_poll();
      if (auto report = receiver.poll(now_)) return report;
    }
    return std::nullopt;
  }

  SeededRandom random_{1};
  Instant now_{1h};
  std::uint64_t sequence_ = 0;
};

TEST_F(ReceiverTest, GetsSpansOfEverySizeThroughAnyLoss) {
  Receiver receiver = make();
  std::uint32_t index = 0;
  for (const std::size_t size : {0, 1, 500, 512, 40'000, 300'000, 1 << 20}) {
    const SampleSpan sent = span(++index, size);
    std::vector<SampleSymbol> symbols;
    for (std::uint32_t g = 0; g < sent.layout().generations(); ++g) {
      const std::uint32_t k = sent.layout().k(g);
      for (std::uint32_t i = 0; i < k; ++i) symbols.push_back(sent.symbol(g, random_.below(3) == 0 ? k + i : i));
    }
    for (std::size_t i = symbols.size(); i > 1; --i) std::swap(symbols[i - 1], symbols[random_.below(i)]);
    std::optional<Received> got;
    for (const SampleSymbol& symbol : symbols) {
      ASSERT_FALSE(got);
      got = send(receiver, symbol);
    }
    ASSERT_TRUE(got) << size;
    EXPECT_EQ(got->span, index);
    EXPECT_EQ(got->frame.parts.size(), 2U);
    EXPECT_TRUE(std::ranges::equal(ByteView(got->frame.bytes), sealed_bytes(index, size))) << size;
    EXPECT_EQ(receiver.figures().memory, 0U);
  }
}

TEST_F(ReceiverTest, ReportsHowManyEachGenerationLacksAndWhatIsSettled) {
  Receiver receiver = make();
  const SampleSpan sent = span(3, 40'000);
  send_data(receiver, sent, 5);
  for (const std::uint32_t i : {10, 11, 12, 20}) receiver.have(i);
  now_ += 45ms;  // the stream pauses
  const auto report = receiver.poll(now_);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->sequence, sequence_);
  EXPECT_THAT(report->settled, ElementsAre(SpanRun{10, 3}, SpanRun{20, 1}));
  EXPECT_THAT(report->lacks, ElementsAre(Lack{3, 0, 5}, Lack{3, 1, 5}));
}

TEST_F(ReceiverTest, DoesNotAskForWhatIsStillUnderWay) {
  Receiver receiver = make();
  receiver.set_policy({65535, 1ms, 1s}, now_);
  const SampleSpan sent = span(3, 20'000);
  for (std::uint32_t i = 0; i < 10; ++i) send(receiver, sent.symbol(0, i));
  now_ = receiver.next_poll();
  const auto early = receiver.poll(now_);
  ASSERT_TRUE(early);
  EXPECT_THAT(early->lacks, IsEmpty());
  // The stream pauses: nothing more is to be expected.
  now_ += 45ms;
  const auto later = receiver.poll(now_);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->lacks.size(), 1U);
}

TEST_F(ReceiverTest, MeasuresLossByTheGaps) {
  Receiver receiver = make();
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    ++sequence_;
    if (i % 4 != 0) receiver.packet(sequence_, span(1, 100).symbol(0, 0).packet(), now_);
  }
  const auto report = next_report(receiver);
  ASSERT_TRUE(report);
  EXPECT_NEAR(report->loss / 65536.0, 0.25, 0.01);
}

TEST_F(ReceiverTest, OpenSpansAreBoundedAndTheOldestIsNamed) {
  Receiver receiver = make(std::size_t{100} << 10);
  for (std::uint32_t i = 0; i < 10; ++i) {
    send_data(receiver, span(i, 40'000), 1);
    EXPECT_LE(receiver.figures().memory, std::size_t{100} << 10);
  }
  EXPECT_THAT(receiver.take_stale(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(receiver.take_stale(), IsEmpty());
  const auto report = next_report(receiver);
  ASSERT_TRUE(report);
  EXPECT_THAT(report->settled, ElementsAre(SpanRun{0, 8}));
}

TEST_F(ReceiverTest, OneSpanIsAlwaysAllowed) {
  Receiver receiver = make(1000);
  EXPECT_TRUE(send_data(receiver, span(1, 300'000)));
}

TEST_F(ReceiverTest, WhatCameOtherwiseIsIgnored) {
  Receiver receiver = make();
  const SampleSpan sent = span(4, 40'000);
  send_data(receiver, sent, 1);
  receiver.have(4);
  EXPECT_EQ(receiver.figures().memory, 0U);
  EXPECT_FALSE(send_data(receiver, sent));
  EXPECT_EQ(receiver.figures().memory, 0U);
  EXPECT_THAT(receiver.take_stale(), IsEmpty());
}

TEST_F(ReceiverTest, ASpanComesOutOnceAndIsStaleIfItWasBad) {
  Receiver receiver = make();
  const SampleSpan sent = span(4, 1000);
  EXPECT_TRUE(send_data(receiver, sent));
  EXPECT_FALSE(send_data(receiver, sent));
  receiver.bad(4);
  receiver.bad(4);
  EXPECT_THAT(receiver.take_stale(), ElementsAre(4));
  EXPECT_FALSE(send_data(receiver, sent));
}

TEST_F(ReceiverTest, AContradictionIsDropped) {
  Receiver receiver = make();
  const SampleSpan sent = span(4, 40'000);
  send(receiver, span(4, 900'000).symbol(0, 0));
  EXPECT_FALSE(send_data(receiver, sent));
  EXPECT_EQ(receiver.figures().refused, sent.layout().symbols());
}

TEST_F(ReceiverTest, AFrameThatDoesNotParseIsStale) {
  Receiver receiver = make();
  Bytes frame = sample_frame(6, 3000);
  frame[0] = std::byte{77};
  EXPECT_FALSE(send_data(receiver, SampleSpan(6, frame, kSymbol)));
  EXPECT_THAT(receiver.take_stale(), ElementsAre(6));
}

TEST_F(ReceiverTest, WhatIsGivenUpOrLongSilentIsStale) {
  Receiver receiver = make();
  for (const std::uint32_t i : {1, 2, 3}) send_data(receiver, span(i, 40'000), 1);
  send_data(receiver, span(4, 100));
  const std::vector<std::uint32_t> gone{2, 4, 999};
  receiver.given_up(gone);
  EXPECT_THAT(receiver.take_stale(), ElementsAre(2));
  now_ += 1s;
  send(receiver, span(3, 40'000).symbol(0, 1));
  now_ += 3500ms;
  receiver.poll(now_);
  EXPECT_THAT(receiver.take_stale(), ElementsAre(1));
}

TEST_F(ReceiverTest, OfManyOnlySomeReportQuickly) {
  const Policy policy = policy_for(10'000, 125e6);
  EXPECT_GT(policy.slow, 1s);
  std::size_t eager = 0;
  for (int i = 0; i < 10'000; ++i) {
    Receiver receiver = make(0, 1);
    receiver.set_policy(policy, now_);
    if (receiver.next_poll() - now_ <= 2 * policy.quick) ++eager;
  }
  EXPECT_GT(eager, 5U);
  EXPECT_LT(eager, 150U);
}

}  // namespace
}  // namespace stampede::multicast
