#include "src/deploy/moves.h"

#include <gtest/gtest.h>

#include <set>

#include "src/base/seams.h"

namespace stampede::deploy {
namespace {

constexpr Size kChunk = 64_KiB;

// An image of `count` chunks, one after the other.
Plan plan_of(unsigned count) {
  chunker::Manifest manifest;
  chunker::Segment& segment = manifest.segments.emplace_back();
  for (unsigned i = 0; i < count; ++i) {
    chunker::ChunkId id;
    id.digest.fill(static_cast<std::byte>(i));
    segment.records.push_back({chunker::RecordKind::data, kChunk, id});
  }
  return Plan(manifest);
}

// The chunk that goes to `to`, of which the disk has the bytes at `from`; both in chunks, `from` with a fraction.
Move move(const Plan& plan, unsigned to, double from) {
  const Offset at{static_cast<std::uint64_t>(from * static_cast<double>(kChunk.bytes))};
  return {plan.places().at(to).chunk, at};
}

// Nobody writes to where a later one reads.
void expect_safe(const Plan& plan, const std::vector<Move>& order) {
  for (std::size_t writer = 0; writer < order.size(); ++writer) {
    const Offset at = plan.chunk(order[writer].chunk).offset;
    for (std::size_t reader = writer + 1; reader < order.size(); ++reader)
      EXPECT_TRUE(order[reader].from + kChunk <= at || at + kChunk <= order[reader].from) << writer << " before " << reader;
  }
}

TEST(Moves, AShiftUpIsReadFromItsEnd) {
  const Plan plan = plan_of(20);
  std::vector<Move> moves;
  for (unsigned i = 1; i < 20; ++i) moves.push_back(move(plan, i, i - 1));
  const auto order = safe_order(plan, moves);
  EXPECT_EQ(order.size(), moves.size());
  EXPECT_EQ(order.front(), moves.back());
  expect_safe(plan, order);
}

TEST(Moves, AShiftDownByLessThanAChunkIsReadFromItsStart) {
  const Plan plan = plan_of(20);
  std::vector<Move> moves;
  for (unsigned i = 0; i < 20; ++i) moves.push_back(move(plan, i, i + 0.25));
  const auto order = safe_order(plan, moves);
  EXPECT_EQ(order, moves);
}

// What moves as a whole is read and written as a whole, also where each piece has to wait for others of it.
TEST(Moves, WhatLiesTogetherStaysTogether) {
  const Plan plan = plan_of(220);
  for (const unsigned by : {1U, 3U, 20U}) {
    std::vector<Move> moves;
    for (unsigned i = 0; i < 50; ++i) {
      moves.push_back(move(plan, i + by, i));              // up
      moves.push_back(move(plan, 100 + i, 100 + i + by));  // down
    }
    const auto order = safe_order(plan, moves);
    EXPECT_EQ(order.size(), moves.size());
    expect_safe(plan, order);
    unsigned jumps = 0;
    for (std::size_t i = 1; i < order.size(); ++i) {
      const auto [low, high] = std::minmax(order[i - 1].from, order[i].from);
      if (high - low > kChunk) ++jumps;
    }
    EXPECT_LE(jumps, 2U) << by;  // to the other run, and within the one whose end comes first
  }
}

TEST(Moves, OfACircleOneIsLeftOut) {
  const Plan plan = plan_of(6);
  const auto order =
      safe_order(plan, {move(plan, 0, 1), move(plan, 1, 2), move(plan, 2, 0), move(plan, 4, 5), move(plan, 5, 4)});
  EXPECT_EQ(order.size(), 3U);
  expect_safe(plan, order);
}

TEST(Moves, OfOverlappingSourcesTheFirstIsTaken) {
  const Plan plan = plan_of(8);
  const auto order = safe_order(plan, {move(plan, 0, 5.5), move(plan, 1, 5), move(plan, 2, 6.25), move(plan, 3, 6)});
  EXPECT_EQ(order, (std::vector{move(plan, 1, 5), move(plan, 3, 6)}));
}

TEST(Moves, AnyPermutationIsSafeAndOnlyCirclesLose) {
  SeededRandom random(5);
  for (int round = 0; round < 300; ++round) {
    constexpr unsigned kCount = 24;
    const Plan plan = plan_of(kCount);
    std::vector<unsigned> from(kCount);
    for (unsigned i = 0; i < kCount; ++i) from[i] = i;
    for (unsigned i = kCount - 1; i > 0; --i) std::swap(from[i], from[random.below(i + 1)]);
    const double shift = random.below(2) == 0 ? 0 : 0.5;
    std::vector<Move> moves;
    for (unsigned i = 0; i < kCount; ++i)
      if (random.below(4) != 0) moves.push_back(move(plan, i, from[i] + shift));
    const auto order = safe_order(plan, moves);
    expect_safe(plan, order);
    std::set<ChunkIndex> seen;
    for (const Move& one : order) EXPECT_TRUE(seen.insert(one.chunk).second);
    EXPECT_GE(2 * order.size() + 1, moves.size());
  }
}

TEST(Sources, AreLeftAloneUntilTheyAreRead) {
  const Plan plan = plan_of(20);
  const std::vector moves{move(plan, 1, 8), move(plan, 2, 5.5)};
  Sources sources(plan, moves);
  unsigned told = 0;
  sources.on_read([&] { ++told; });
  const auto clear = [&](double from, double to) {
    const Move begin = move(plan, 0, from), end = move(plan, 0, to);
    return sources.are_clear_of({begin.from, end.from - begin.from});
  };
  EXPECT_TRUE(clear(0, 5.5));
  EXPECT_FALSE(clear(0, 5.75));
  EXPECT_FALSE(clear(6, 7));
  EXPECT_TRUE(clear(6.5, 8));
  EXPECT_FALSE(clear(8.25, 8.5));
  EXPECT_TRUE(clear(9, 20));
  sources.have_read(1, 1);
  EXPECT_TRUE(clear(0, 8));
  EXPECT_FALSE(clear(0, 9));
  sources.all_have_read();
  EXPECT_TRUE(clear(0, 20));
  EXPECT_EQ(told, 2U);
  EXPECT_TRUE(Sources().are_clear_of({{}, 1_MiB}));
}

}  // namespace
}  // namespace stampede::deploy
