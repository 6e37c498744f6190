#include "src/service/holds.h"

#include "src/service/library.h"
#include "tests/service/store_fixture.h"

namespace stampede::service {
namespace {

class HoldsTest : public StoreTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(StoreTest::SetUp());
    SeededRandom(1).fill(content_);
    const auto imported = try_import(content_, "a:1");
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

  const chunker::ImageName name_ = *chunker::ImageName::parse("a:1");
  Bytes content_ = Bytes(1'000'000);
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
  ASSERT_TRUE(try_import(content_, "a:1"));
  EXPECT_TRUE(survives());
  remove();
  EXPECT_FALSE(survives());
  const auto again = try_import(content_, "a:1");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(survives());
  const auto found = find_image(*store_, name_);
  ASSERT_TRUE(found);
  EXPECT_TRUE(check_whole(*store_, *found));
}

}  // namespace
}  // namespace stampede::service
