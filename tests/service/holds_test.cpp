#include "src/service/holds.h"

#include <gtest/gtest.h>

#include "src/base/file.h"
#include "src/service/library.h"
#include "src/service/packaging.h"
#include "tests/scratch.h"

namespace stampede::service {
namespace {

class HoldsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = cache::Store::open(folder_ / "store", system_clock());
    ASSERT_TRUE(store) << store.error().message;
    store_ = *std::move(store);
    Bytes content(1'000'000);
    SeededRandom(1).fill(content);
    ASSERT_TRUE(replace_file(folder_ / "image", content));
    const auto imported = import_image(*store_, folder_ / "image", name_, {});
    ASSERT_TRUE(imported) << imported.error().message;
    image_ = imported->record.image;
  }
  void remove() { ASSERT_TRUE(store_->catalog().remove_tags(name_, true, "test")); }
  // Whether the image is there after a collection.
  bool survives() {
    const auto done = store_->collect_garbage({.grace = {}, .wait = {}});
    EXPECT_TRUE(done) << done.error().message;
    return store_->chunks().has(as_chunk(image_));
  }

  const Scratch folder_;
  const chunker::ImageName name_ = *chunker::ImageName::parse("a:1");
  std::unique_ptr<cache::Store> store_;
  chunker::ImageId image_;
};

TEST_F(HoldsTest, WhatWasAskedForStaysForAWhile) {
  Holds holds(*store_);
  const Instant start{};
  const auto found = holds.find(name_, start);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->image, image_);
  remove();
  EXPECT_FALSE(holds.find(name_, start).value());
  EXPECT_TRUE(survives());
  holds.tend(start + kHoldFor - Duration(1));
  EXPECT_TRUE(survives());
  ASSERT_TRUE(holds.hold(image_, start + kHoldFor));  // as a room does while it has members
  holds.tend(start + kHoldFor);
  EXPECT_TRUE(survives());
  EXPECT_EQ(holds.size(), 1U);
  holds.tend(start + 2 * kHoldFor);
  EXPECT_EQ(holds.size(), 0U);
  EXPECT_FALSE(survives());
}

TEST_F(HoldsTest, WhoUsesAnImageHoldsIt) {
  {
    const auto image = hold_image(*store_, name_);
    ASSERT_TRUE(image) << image.error().message;
    remove();
    EXPECT_TRUE(survives());
  }
  EXPECT_FALSE(survives());
  const auto gone = hold_image(*store_, name_);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::not_found);
}

// Imported again under a name that it has: nothing is stored twice, and it is whole whatever was collected between.
TEST_F(HoldsTest, AnImageThatIsImportedAgainIsWhole) {
  ASSERT_TRUE(import_image(*store_, folder_ / "image", name_, {}));
  EXPECT_TRUE(survives());
  remove();
  EXPECT_FALSE(survives());
  const auto again = import_image(*store_, folder_ / "image", name_, {});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(survives());
  const auto found = find_image(*store_, name_);
  ASSERT_TRUE(found);
  EXPECT_TRUE(check_whole(*store_, *found));
}

}  // namespace
}  // namespace stampede::service
