#include "src/service/stream_cuts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stampede::service {
namespace {

using net::PartialSpans;
using testing::ElementsAre;
using testing::IsEmpty;
using wire::ChunkRun;

class StreamCutsTest : public testing::Test {
 protected:
  PartialSpans one_{{{1, 2, 3}, {2, 0, 1}}};
  PartialSpans two_{{{1, 4, 2}, {1, 9, 1}}};
  PartialSpans blank_;
  StreamCuts cuts_{10};
};

TEST_F(StreamCutsTest, ASpanBringsWhatSomebodyLacks) {
  cuts_.decide(1, {&one_, &two_});
  EXPECT_THAT(cuts_.of(1).lacks(), ElementsAre(ChunkRun{1, 2, 4}, ChunkRun{1, 9, 1}));
}

TEST_F(StreamCutsTest, AllOfItWhereSomebodyHasNothing) {
  cuts_.decide(1, {&one_, &blank_});
  cuts_.decide(2, {&one_, &two_});  // of which the second knows no part
  cuts_.decide(3, {});
  for (const std::uint32_t span : {1, 2, 3, 4}) EXPECT_TRUE(cuts_.of(span).empty()) << span;
}

TEST_F(StreamCutsTest, WhatWasDecidedStays) {
  cuts_.decide(1, {&one_});
  cuts_.decide(1, {&blank_});
  EXPECT_THAT(cuts_.of(1).lacks(), ElementsAre(ChunkRun{1, 2, 3}));
  cuts_.decide(5, {&blank_});
  cuts_.decide(5, {&one_});
  EXPECT_TRUE(cuts_.of(5).empty());
  EXPECT_TRUE(cuts_.is_decided(5));
  EXPECT_FALSE(cuts_.is_decided(6));
}

TEST_F(StreamCutsTest, WhoComesLaterAndLacksMoreIsToldWhatHeGetsElsewhere) {
  cuts_.decide(1, {&one_});
  cuts_.decide(2, {&one_});
  cuts_.decide(3, {&blank_});
  Bitmap have(10);
  EXPECT_THAT(cuts_.too_little_for(one_, have), IsEmpty());
  EXPECT_THAT(cuts_.too_little_for(PartialSpans({{1, 3, 2}}), have), ElementsAre(2));
  EXPECT_THAT(cuts_.too_little_for(two_, have), ElementsAre(1, 2));
  EXPECT_THAT(cuts_.too_little_for(blank_, have), ElementsAre(1, 2));
  have.set(1);
  EXPECT_THAT(cuts_.too_little_for(blank_, have), ElementsAre(2));
}

}  // namespace
}  // namespace stampede::service
