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

}  // namespace
}  // namespace stampede::deploy
