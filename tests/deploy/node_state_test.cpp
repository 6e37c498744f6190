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

TEST(NodeStateTest, KeepsTheNewestRescueFilesOfADisk) {
  const Scratch scratch;
  auto state = NodeState::open(scratch / "state");
  ASSERT_DONE(state);
  const auto keep = [&](const disk::Rescue& rescue) {
    const auto kept = keep_rescue(state->rescue_folder(), rescue, encode(rescue));
    EXPECT_TRUE(kept);
    state->forget_old_rescues(rescue);
    return *kept;
  };
  const auto other = keep(rescue_of("another disk", 0));
  const auto damaged = state->rescue_folder() / "00000000T000000Z-sda-000000000000.rescue";
  ASSERT_DONE(replace_file(damaged, as_bytes("STMPRESC")));
  std::vector<std::filesystem::path> kept;
  for (std::uint8_t i = 1; i <= 12; ++i) kept.push_back(keep(rescue_of("S1", i)));
  EXPECT_TRUE(std::filesystem::exists(other));
  EXPECT_TRUE(std::filesystem::exists(damaged));
  for (std::size_t i = 0; i < kept.size(); ++i)
    EXPECT_EQ(std::filesystem::exists(kept[i]), i + NodeState::kMostRescues >= kept.size()) << i;
}

// A clock that has gone back makes no file the oldest that has just been written; nameless disks may be many.
TEST(NodeStateTest, TheRescueFileOfNowStaysAndThoseOfNamelessDisks) {
  const Scratch scratch;
  auto state = NodeState::open(scratch / "state");
  ASSERT_DONE(state);
  const auto keep = [&](const disk::Rescue& rescue) {
    const auto kept = keep_rescue(state->rescue_folder(), rescue, encode(rescue));
    EXPECT_TRUE(kept);
    state->forget_old_rescues(rescue);
    return *kept;
  };
  for (std::uint8_t i = 1; i <= 9; ++i) keep(rescue_of("S1", i));
  disk::Rescue early = rescue_of("S1", 0);
  EXPECT_TRUE(std::filesystem::exists(keep(early)));
  std::vector<std::filesystem::path> nameless;
  for (std::uint8_t i = 1; i <= 12; ++i) nameless.push_back(keep(rescue_of("", i)));
  for (const auto& file : nameless) EXPECT_TRUE(std::filesystem::exists(file));
}

TEST(NodeStateTest, KeepsEachReceiptThatWaits) {
  const Scratch scratch;
  auto state = NodeState::open(scratch / "state");
  ASSERT_DONE(state);
  EXPECT_TRUE(state->unsent().empty());
  trust::Signature signature{};
  for (unsigned i = 0; i < NodeState::kMostUnsent + 3; ++i) {
    signature[0] = static_cast<std::byte>(i);
    ASSERT_DONE(state->keep_unsent(as_bytes(fmt::format("receipt {}", i)), signature));
  }
  auto waiting = state->unsent();
  ASSERT_EQ(waiting.size(), NodeState::kMostUnsent);
  EXPECT_EQ(as_text(waiting.front().receipt), "receipt 3");
  EXPECT_EQ(waiting.front().signature[0], std::byte{3});
  state->forget_unsent(as_bytes("receipt 4"));
  waiting = state->unsent();
  ASSERT_EQ(waiting.size(), NodeState::kMostUnsent - 1);
  EXPECT_EQ(as_text(waiting[1].receipt), "receipt 5");
}

}  // namespace
}  // namespace stampede::deploy
