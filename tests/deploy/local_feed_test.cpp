// An image of a store of this machine, through the receiver onto a disk: what a deployment does, without a network.
#include "src/deploy/local_feed.h"

#include "src/deploy/clearing.h"
#include "src/deploy/read_back.h"
#include "src/deploy/receiver.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::deploy {
namespace {

using namespace stampede::testing;

class LocalFeedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_image(image_, {9 << 20}, filesystem_like(21, 2304));
    auto report =
        chunker::import_image(*File::open(image_, O_RDONLY), {}, store_, {.threads = 2, .level = 1, .progress = {}});
    ASSERT_DONE(report);
    auto manifest = chunker::load_manifest(store_, report->image);
    ASSERT_DONE(manifest);
    id_ = report->image;
    plan_.emplace(*manifest);
    ASSERT_GT(plan_->spans().size(), 4U);
  }
  void open_target() {
    const auto selector = disk::Selector::parse("file:" + written_.string());
    ASSERT_DONE(selector);
    auto guarded = disk::open_guarded(*selector, {.size = {9 << 20}}, {});
    ASSERT_DONE(guarded);
    auto target = disk::Target::open(*std::move(guarded), {9 << 20}, {.slabs = 4, .depth = 4});
    ASSERT_DONE(target);
    target_ = *std::move(target);
  }
  void open_disk() {
    open_target();
    ASSERT_DONE(target_->begin({id_, {}, 0, {9 << 20}}));
  }
  // Until it is flushed. The receiver hears of writes: on failure the target goes before it.
  Result<> deploy() {
    STAMPEDE_TRY(auto reader, target_->reader());
    HeldSpans held(*plan_, {}, std::move(reader));
    LocalFeed feed(plan_->spans(), store_);
    Sources nothing_moves;
    Receiver receiver(*plan_, *target_, nothing_moves, held, feed, Bitmap(static_cast<std::uint32_t>(plan_->spans().size())),
                      2);
    receiver.give_credit();
    feed.start(receiver);
    clear(*target_, plan_->zero_extents(), Clearing::zero);
    const auto waited = feed.wait_complete([&] { return !receiver.failure(); });
    feed.stop();
    receiver.stop();
    const auto written = target_->flush();  // the receiver hears of every write
    return waited ? written : waited;
  }

  Scratch scratch_;
  std::filesystem::path image_ = scratch_ / "image";
  std::filesystem::path written_ = scratch_ / "written";
  MemoryStore store_;
  chunker::ImageId id_;
  std::optional<Plan> plan_;
  std::unique_ptr<disk::Target> target_;
};

TEST_F(LocalFeedTest, BringsTheWholeImage) {
  open_disk();
  ASSERT_DONE(deploy());
  ASSERT_DONE(read_back(*target_, {*plan_, plan_->zero_extents(), Verify::data}, [](Size) { return true; }));
  ASSERT_DONE(target_->commit());
  const auto written = read_file(written_, 16_MiB);
  ASSERT_DONE(written);
  EXPECT_EQ(*written, *read_file(image_, 16_MiB));
}

// What was moved on the disk itself, say.
TEST_F(LocalFeedTest, TheJournalNamesWhatOthersHavePlaced) {
  open_disk();
  const auto spans = static_cast<std::uint32_t>(plan_->spans().size());
  {
    auto reader = target_->reader();
    ASSERT_DONE(reader);
    HeldSpans held(*plan_, {}, *std::move(reader));
    LocalFeed feed(plan_->spans(), store_);
    Sources nothing_moves;
    Receiver receiver(*plan_, *target_, nothing_moves, held, feed, Bitmap(spans), 1);
    ASSERT_DONE(receiver.keep_journal());
    receiver.was_placed({3});
    ASSERT_DONE(target_->flush());
    receiver.stop();
  }
  target_.reset();
  open_target();
  const auto journal = target_->journal(id_, spans);
  ASSERT_DONE(journal);
  ASSERT_TRUE(journal->has_value());
  EXPECT_EQ((*journal)->count(), 1U);
  EXPECT_TRUE((*journal)->test(3));
}

// What arrives while a move has yet to read where it goes waits; the others do not.
TEST_F(LocalFeedTest, ASpanThatWouldOverwriteASourceWaits) {
  open_disk();
  const auto spans = static_cast<std::uint32_t>(plan_->spans().size());
  const Move move{{{1}, 0}, plan_->spans()[2].chunks[0].offset};
  Sources sources(*plan_, std::span(&move, 1));
  Bitmap waits(spans);
  for (const Place& place : plan_->places())
    if (!sources.are_clear_of({place.at, place.length})) waits.set(place.chunk.span.value);
  ASSERT_TRUE(waits.test(2));
  ASSERT_LT(waits.count(), 4U) << "or no slab would be left";

  auto reader = target_->reader();
  ASSERT_DONE(reader);
  HeldSpans held(*plan_, {}, *std::move(reader));
  LocalFeed feed(plan_->spans(), store_);
  Receiver receiver(*plan_, *target_, sources, held, feed, Bitmap(spans), 2);
  receiver.give_credit();
  feed.start(receiver);
  while (receiver.placed().count() < spans - waits.count()) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(receiver.placed().count(), spans - waits.count());
  EXPECT_FALSE(receiver.placed().test(2));
  sources.have_read(0, 1);
  EXPECT_DONE(feed.wait_complete([&] { return !receiver.failure(); }));
  clear(*target_, plan_->zero_extents(), Clearing::zero);
  ASSERT_DONE(target_->flush());
  EXPECT_EQ(receiver.placed().count(), spans);
  EXPECT_DONE(read_back(*target_, {*plan_, plan_->zero_extents(), Verify::data}, [](Size) { return true; }));
  feed.stop();
  receiver.stop();
}

TEST_F(LocalFeedTest, AnAlteredChunkEndsIt) {
  open_disk();
  auto& chunk = store_.chunks.at(plan_->spans()[2].chunks[0].id);
  chunk.bytes[chunk.bytes.size() / 2] ^= std::byte{1};
  const auto result = deploy();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::content_altered) << result.error().message;
}

TEST_F(LocalFeedTest, AMissingChunkEndsIt) {
  open_disk();
  store_.chunks.erase(plan_->spans()[2].chunks[0].id);
  const auto result = deploy();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::not_found) << result.error().message;
}

TEST_F(LocalFeedTest, NoMoreAreUnderWayThanTheCreditSays) {
  struct Counter final : chunker::SpanInbox {
    void deliver(chunker::SealedSpan span, chunker::Origin /*origin*/) override {
      const std::lock_guard lock(mutex);
      spans.push_back(span.index);
      changed.notify_all();
    }
    std::size_t wait_for(std::size_t count) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return spans.size() >= count; });
      return spans.size();
    }
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<chunker::SpanIndex> spans;
  } inbox;
  LocalFeed feed(plan_->spans(), store_);
  feed.set_credit(2);
  feed.start(inbox);
  EXPECT_EQ(inbox.wait_for(2), 2U);
  feed.had({0});
  EXPECT_EQ(inbox.wait_for(3), 3U);
  feed.set_credit(4);
  EXPECT_EQ(inbox.wait_for(5), 5U);
  EXPECT_FALSE(feed.wait_complete([] { return false; }));
  feed.stop();
  EXPECT_EQ(inbox.spans.size(), 5U);
}

}  // namespace
}  // namespace stampede::deploy
