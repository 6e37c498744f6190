#include "src/deploy/clearing.h"

#include <fcntl.h>

#include "tests/chunker/images.h"

namespace stampede::deploy {
namespace {

using namespace stampede::testing;

constexpr std::uint64_t kExtent = 64UL << 10;

class ClearingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_image(path_, kSize, {{0, random_bytes(51, kSize.bytes)}});
    const auto selector = disk::Selector::parse("file:" + path_.string());
    ASSERT_DONE(selector);
    auto guarded = disk::open_guarded(*selector, {.size = kSize, .overwrite = path_.string()}, {});
    ASSERT_DONE(guarded);
    auto target = disk::Target::open(*std::move(guarded), kSize, {.slabs = 1});
    ASSERT_DONE(target);
    target_ = *std::move(target);
    ASSERT_DONE(target_->begin({{}, {}, 0, kSize}));
    // Every other piece between the parts that are held back.
    for (std::uint64_t at = 1 << 20; at + kExtent <= kSize.bytes - kExtent; at += 2 * kExtent)
      extents_.push_back({{at}, {kExtent}, chunker::ExtentKind::zero});
  }

  static constexpr Size kSize = 16_MiB;
  Scratch scratch_;
  std::filesystem::path path_ = scratch_ / "disk";
  std::vector<chunker::Extent> extents_;
  std::unique_ptr<disk::Target> target_;
};

TEST_F(ClearingTest, AFlushWaitsForEveryExtent) {
  const auto before = read_file(path_, 16_MiB);
  ASSERT_DONE(before);
  clear(*target_, extents_, Clearing::zero);
  ASSERT_DONE(target_->flush());
  const auto after = read_file(path_, 16_MiB);
  ASSERT_DONE(after);
  for (const auto& extent : extents_) {
    EXPECT_TRUE(all_zero(ByteView(*after).subspan(extent.offset.bytes, kExtent)));
    const auto next = extent.offset.bytes + kExtent;
    EXPECT_TRUE(std::ranges::equal(ByteView(*after).subspan(next, kExtent), ByteView(*before).subspan(next, kExtent)));
  }
}

TEST_F(ClearingTest, ATargetThatGoesEndsIt) {
  clear(*target_, extents_, Clearing::zero);
  clear(*target_, extents_, Clearing::discard);
  target_.reset();
}

}  // namespace
}  // namespace stampede::deploy
