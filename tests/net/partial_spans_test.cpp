#include "transport/net/partial_spans.h"

#include <gtest/gtest.h>

namespace stampede::net {
namespace {

using Sealed = std::shared_ptr<const chunker::SealedSpan>;

// Part i is of i + 1 bytes of value i; those in `without` are left out.
Sealed span(std::uint32_t index, unsigned parts, const std::vector<unsigned>& without = {}) {
  auto out = std::make_shared<chunker::SealedSpan>();
  out->index = {index};
  Bytes bytes;
  for (unsigned i = 0; i < parts; ++i) {
    const bool there = std::ranges::find(without, i) == without.end();
    out->parts.push_back({chunker::Codec::zstd, there ? i + 1 : 0});
    if (there) bytes.insert(bytes.end(), i + 1, static_cast<std::byte>(i));
  }
  out->bytes = Buffer(ByteView(bytes));
  return out;
}

void expect_same(const Sealed& got, const Sealed& wanted) {
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->index, wanted->index);
  ASSERT_EQ(got->parts.size(), wanted->parts.size());
  for (std::size_t i = 0; i < got->parts.size(); ++i)
    EXPECT_EQ(got->parts[i].sealed_size, wanted->parts[i].sealed_size) << i;
  EXPECT_EQ(to_hex(got->bytes), to_hex(wanted->bytes));
}

TEST(PartialSpans, WhoHoldsAPartIsSentTheRest) {
  const PartialSpans partial({{7, 1, 2}, {7, 5, 1}, {9, 0, 1}});
  expect_same(partial.cut(span(7, 8)), span(7, 8, {0, 3, 4, 6, 7}));
  expect_same(partial.cut(span(9, 2)), span(9, 2, {1}));
}

TEST(PartialSpans, WhatCameIsEnoughWhereNoneIsMissingThatIsLacking) {
  const PartialSpans partial({{7, 1, 2}});
  const auto parts = [](std::initializer_list<std::uint32_t> sizes) {
    std::vector<wire::SpanPart> out;
    for (const std::uint32_t size : sizes) out.push_back({1, size});
    return out;
  };
  EXPECT_TRUE(partial.are_enough(7, parts({0, 5, 5, 0})));
  EXPECT_TRUE(partial.are_enough(7, parts({5, 5, 5, 5})));
  EXPECT_FALSE(partial.are_enough(7, parts({5, 5, 0, 5})));
  EXPECT_TRUE(partial.are_enough(8, parts({5, 5})));
  EXPECT_FALSE(partial.are_enough(8, parts({5, 0})));
}

TEST(PartialSpans, OtherSpansAreSentWhole) {
  const PartialSpans partial({{7, 1, 2}});
  const Sealed whole = span(8, 3);
  EXPECT_EQ(partial.cut(whole), whole) << "not copied";
  EXPECT_EQ(PartialSpans().cut(whole), whole);
  EXPECT_EQ(partial.cut(nullptr), nullptr);
}

// What came with parts left out can be passed on to those who lack no more of it.
TEST(PartialSpans, WhatIsNotThereCannotBeSent) {
  const Sealed holes = span(7, 8, {0, 4});
  EXPECT_EQ(PartialSpans().cut(holes), nullptr);
  EXPECT_EQ(PartialSpans({{7, 4, 1}}).cut(holes), nullptr);
  expect_same(PartialSpans({{7, 1, 2}}).cut(holes), span(7, 8, {0, 3, 4, 5, 6, 7}));
  const PartialSpans same({{7, 1, 3}, {7, 5, 3}});
  EXPECT_EQ(same.cut(holes), holes);
}

TEST(PartialSpans, ChunksThatTheSpanDoesNotHaveChangeNothing) {
  expect_same(PartialSpans({{7, 2, 4000}}).cut(span(7, 3)), span(7, 3, {0, 1}));
  expect_same(PartialSpans({{7, 100, 1}}).cut(span(7, 3)), span(7, 3, {0, 1, 2}));
}

}  // namespace
}  // namespace stampede::net
