#include "src/deploy/node_state.h"

#include <gtest/gtest.h>

#include "src/base/file.h"
#include "tests/chunker/images.h"

namespace stampede::deploy {
namespace {

using namespace stampede::testing;

disk::Rescue rescue_of(std::string serial, std::uint8_t deployment) {
  disk::Rescue rescue;
  rescue.deployment.fill(std::byte{deployment});
  rescue.saved = 1'700'000'000 + deployment;
  rescue.disk = {.path = "/dev/sda", .model = "M", .serial = std::move(serial), .wwn = {}, .guid = {}, .size = 4_MiB};
  rescue.image_size = 4_MiB;
  rescue.runs = {{{0}, Bytes(512, std::byte{deployment})}};
  return rescue;
}

class NodeStateTest : public ::testing::Test {
 protected:
  std::filesystem::path keep(const disk::Rescue& rescue) {
    const auto kept = keep_rescue(state_->rescue_folder(), rescue, encode(rescue));
    EXPECT_TRUE(kept);
    state_->forget_old_rescues(rescue);
    return *kept;
  }
  void SetUp() override { ASSERT_DONE(state_); }

  const Scratch scratch_;
  Result<NodeState> state_ = NodeState::open(scratch_ / "state");
};

TEST_F(NodeStateTest, KeepsTheNewestRescueFilesOfADisk) {
  const auto other = keep(rescue_of("another disk", 0));
  const auto damaged = state_->rescue_folder() / "00000000T000000Z-sda-000000000000.rescue";
  ASSERT_DONE(replace_file(damaged, as_bytes("STMPRESC")));
  std::vector<std::filesystem::path> kept;
  for (std::uint8_t i = 1; i <= 12; ++i) kept.push_back(keep(rescue_of("S1", i)));
  EXPECT_TRUE(std::filesystem::exists(other));
  EXPECT_TRUE(std::filesystem::exists(damaged));
  for (std::size_t i = 0; i < kept.size(); ++i)
    EXPECT_EQ(std::filesystem::exists(kept[i]), i + NodeState::kMostRescues >= kept.size()) << i;
}

// A clock that has gone back makes no file the oldest that has just been written; nameless disks may be many.
TEST_F(NodeStateTest, TheRescueFileOfNowStaysAndThoseOfNamelessDisks) {
  for (std::uint8_t i = 1; i <= 9; ++i) keep(rescue_of("S1", i));
  disk::Rescue early = rescue_of("S1", 0);
  EXPECT_TRUE(std::filesystem::exists(keep(early)));
  std::vector<std::filesystem::path> nameless;
  for (std::uint8_t i = 1; i <= 12; ++i) nameless.push_back(keep(rescue_of("", i)));
  for (const auto& file : nameless) EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(NodeStateTest, KeepsEachReceiptThatWaits) {
  EXPECT_TRUE(state_->unsent().empty());
  trust::Signature signature{};
  for (unsigned i = 0; i < NodeState::kMostUnsent + 3; ++i) {
    signature[0] = static_cast<std::byte>(i);
    ASSERT_DONE(state_->keep_unsent(as_bytes(fmt::format("receipt {}", i)), signature));
  }
  auto waiting = state_->unsent();
  ASSERT_EQ(waiting.size(), NodeState::kMostUnsent);
  EXPECT_EQ(as_text(waiting.front().receipt), "receipt 3");
  EXPECT_EQ(waiting.front().signature[0], std::byte{3});
  state_->forget_unsent(as_bytes("receipt 4"));
  waiting = state_->unsent();
  ASSERT_EQ(waiting.size(), NodeState::kMostUnsent - 1);
  EXPECT_EQ(as_text(waiting[1].receipt), "receipt 5");
}

// A state that an older version left: one receipt, in a file of that name.
TEST_F(NodeStateTest, AReceiptThatAnOlderVersionKeptWaitsWithTheOthers) {
  ASSERT_DONE(replace_file(scratch_ / "state" / "unsent", as_bytes(std::string(64, 's') + "older")));
  auto again = NodeState::open(scratch_ / "state");
  ASSERT_DONE(again);
  ASSERT_DONE(again->keep_unsent(as_bytes("newer"), {}));
  const auto waiting = again->unsent();
  ASSERT_EQ(waiting.size(), 2U);
  EXPECT_EQ(as_text(waiting[0].receipt), "older");
  EXPECT_EQ(as_text(waiting[1].receipt), "newer");
}

}  // namespace
}  // namespace stampede::deploy
