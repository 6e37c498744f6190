#include "src/deploy/held_spans.h"

#include <future>

#include "chunker/seal.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::deploy {
namespace {

using namespace stampede::testing;
using Sealed = std::shared_ptr<const chunker::SealedSpan>;

// A written disk (a file with the image's bytes) and the plan by which it was written.
class HeldSpansTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_image(disk_, {(9 << 20) + 512}, filesystem_like(11, 2304));
    write_tail();
    auto report =
        chunker::import_image(*File::open(disk_, O_RDONLY), {}, store_, {.threads = 2, .level = 1, .progress = {}});
    ASSERT_DONE(report);
    auto manifest = chunker::load_manifest(store_, report->image);
    ASSERT_DONE(manifest);
    plan_.emplace(*manifest);
    ASSERT_GT(plan_->spans().size(), 4U);
    auto file = File::open(disk_, O_RDWR);
    ASSERT_DONE(file);
    file_ = *std::move(file);
  }
  // Data up to the very end, which is within a block.
  void write_tail() {
    auto file = File::open(disk_, O_RDWR);
    ASSERT_DONE(file);
    ASSERT_DONE(file->write_at({9 << 20}, random_bytes(12, 512)));
  }
  void hold(Size memory) {
    auto file = File::open(disk_, O_RDONLY);
    ASSERT_DONE(file);
    held_ = std::make_unique<HeldSpans>(*plan_, memory, std::make_unique<disk::FileReader>(*std::move(file)));
  }
  Sealed fetch(std::uint32_t index) {
    std::promise<Sealed> promise;
    held_->fetch({index}, [&](Sealed span) { promise.set_value(std::move(span)); });
    return promise.get_future().get();
  }
  // As a peer would take it.
  void expect_opens(const Sealed& span, std::uint32_t index) {
    ASSERT_NE(span, nullptr) << index;
    EXPECT_EQ(span->index.value, index);
    const auto& chunks = plan_->spans()[index].chunks;
    ASSERT_EQ(span->parts.size(), chunks.size());
    chunker::Opener opener;
    Bytes out(chunker::kMaxChunk.bytes);
    ByteView rest = span->bytes;
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      const auto sealed = rest.first(span->parts[i].sealed_size);
      EXPECT_DONE(opener.open({chunks[i].id, span->parts[i].codec, chunks[i].length, sealed}, out));
      rest = rest.subspan(sealed.size());
    }
    EXPECT_TRUE(rest.empty());
  }

  Scratch scratch_;
  std::filesystem::path disk_ = scratch_ / "disk";
  MemoryStore store_;
  std::optional<Plan> plan_;
  File file_;
  std::unique_ptr<HeldSpans> held_;
};

TEST_F(HeldSpansTest, WhatIsNotInMemoryComesFromTheDisk) {
  hold({});
  for (std::uint32_t i = 0; i < plan_->spans().size(); ++i) {
    EXPECT_EQ(held_->span({i}), nullptr);
    expect_opens(fetch(i), i);
  }
}

TEST_F(HeldSpansTest, WhatIsInMemoryNeedsNoDisk) {
  hold(1_MiB);
  auto span = std::make_shared<chunker::SealedSpan>();
  span->index = {2};
  held_->put(span);
  EXPECT_EQ(held_->span({2}), span);
}

TEST_F(HeldSpansTest, BytesThatAreNotTheImagesAreNotGiven) {
  hold({});
  const auto& changed = plan_->spans()[3].chunks.front();
  ASSERT_DONE(file_.write_at(changed.offset, random_bytes(13, 100)));
  EXPECT_EQ(fetch(3), nullptr);
  expect_opens(fetch(4), 4);
}

TEST_F(HeldSpansTest, NothingIsGivenOnceStopped) {
  hold({});
  expect_opens(fetch(0), 0);
  held_->stop();
  bool given = false;
  held_->fetch({1}, [&](const Sealed&) { given = true; });
  EXPECT_FALSE(given);
}

}  // namespace
}  // namespace stampede::deploy
