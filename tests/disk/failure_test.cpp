// Disks that fail: whatever happens ends in an error that names the disk and the byte, never in success.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "src/disk/target.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

Result<> place_one(Target& target, Offset at, std::byte value = std::byte{0x5a}) {
  Slab slab = target.try_slab();
  if (!slab) return fail(Code::busy, "no slab");
  std::ranges::fill(slab.bytes(), value);
  const auto chunk = chunker::Digester().name(slab.bytes());
  Waiter waiter;
  target.place(std::move(slab), {{chunk, at}}, waiter.expect_one());
  return waiter.wait();
}

// A file system of 8 MiB.
class SmallFileSystem : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const Ran ran = run(fmt::format("mount -t tmpfs -o size=8M stampede-test {}", folder_.path().string()));
        ran.code != 0)
      GTEST_SKIP() << "cannot mount a tmpfs here: " << ran.output;
    mounted_ = true;
  }
  void TearDown() override {
    target_.reset();
    if (mounted_) run("umount " + folder_.path().string());
  }
  const Scratch folder_;
  bool mounted_ = false;
  std::unique_ptr<Target> target_;
};

TEST_F(SmallFileSystem, FullIsNoSpaceAndStaysSo) {
  const auto path = folder_.path() / "disk";
  auto target = Target::open(guarded_file(path, 32_MiB, true), 32_MiB, {.slabs = 4, .depth = 4});
  ASSERT_TRUE(target) << target.error().message;
  target_ = std::move(*target);
  ASSERT_TRUE(target_->begin(sample_record(32_MiB)));
  Result<> result;
  std::uint64_t at = 2 * kMiB;
  for (; result && at < 31 * kMiB; at += kMiB) result = place_one(*target_, {at});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::no_space) << result.error().message;
  EXPECT_NE(result.error().message.find(path.string() + " at byte "), std::string::npos) << result.error().message;
  const std::string first = result.error().message;
  EXPECT_EQ(place_one(*target_, {2 * kMiB}).error().message, first);  // would have room
  Waiter waiter;
  target_->zero({2 * kMiB}, 1_MiB, waiter.expect_one());
  EXPECT_EQ(waiter.wait().error().message, first);
  EXPECT_EQ(target_->flush().error().message, first);
  EXPECT_EQ(target_->commit().error().message, first);
  EXPECT_EQ(target_->free_slabs(), 4U);
  EXPECT_EQ(find_in_progress(content_of(path)), sample_record(32_MiB));  // not committed
}

TEST(Failure, FileSizeLimitIsNoSpace) {
  const Scratch folder;
  const auto path = folder.path() / "disk";
  auto target = Target::open(guarded_file(path, 32_MiB), 32_MiB, {.slabs = 4, .depth = 4});
  ASSERT_TRUE(target);
  ASSERT_TRUE((*target)->begin(sample_record(32_MiB)));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{8 * kMiB + 512 * 1024, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto below = place_one(**target, {7 * kMiB});
  const auto above = place_one(**target, {8 * kMiB});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(below);
  ASSERT_FALSE(above);
  EXPECT_EQ(above.error().code, Code::no_space) << above.error().message;
  // The part below the limit was written, the rest was gone on with.
  EXPECT_NE(above.error().message.find("at byte 8912896"), std::string::npos) << above.error().message;
  EXPECT_FALSE((*target)->flush());
}

TEST(Failure, ReadOnlyDescriptorIsWriteFailed) {
  const Scratch folder;
  const auto path = folder.path() / "disk";
  GuardedDisk disk = guarded_file(path, 4_MiB);
  disk.file = *File::open(path, O_RDONLY | O_DIRECT);
  auto target = Target::open(std::move(disk), 4_MiB);
  ASSERT_TRUE(target);
  const auto begun = (*target)->begin(sample_record(4_MiB));
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, Code::write_failed);
  EXPECT_NE(begun.error().message.find("at byte 0"), std::string::npos) << begun.error().message;
}

// Something else writes into the commit region between the steps of commit: the read-back notices, and LBA 0 stays away.
TEST(Failure, ADiskThatForgetsIsNoticedBeforeTheBootSector) {
  const Scratch folder;
  const auto path = folder.path() / "disk";
  TargetOptions options;
  options.slabs = 4;
  options.after_step = [&](std::string_view stage, std::string_view step) {
    if (stage != "commit" || step != "rest") return;
    const auto file = File::open(path, O_RDWR);
    EXPECT_TRUE(file->write_at({300'000}, Bytes(1, std::byte{0x77})));
    EXPECT_TRUE(file->sync());
  };
  auto target = Target::open(guarded_file(path, 4_MiB), 4_MiB, options);
  ASSERT_TRUE(target);
  ASSERT_TRUE((*target)->begin(sample_record(4_MiB)));
  ASSERT_TRUE(place_one(**target, {0}));
  const auto committed = (*target)->commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, Code::readback_mismatch);
  EXPECT_NE(committed.error().message.find("byte 300000"), std::string::npos) << committed.error().message;
  EXPECT_EQ(find_in_progress(ByteView(content_of(path)).first(8192)), sample_record(4_MiB));
}

TEST(Failure, ADiskThatForgetsItsBootSectorIsNoticed) {
  const Scratch folder;
  const auto path = folder.path() / "disk";
  TargetOptions options;
  options.slabs = 4;
  options.after_step = [&](std::string_view, std::string_view step) {
    if (step != "boot sector") return;
    const auto file = File::open(path, O_RDWR);
    EXPECT_TRUE(file->write_at({7}, Bytes(1)));
    EXPECT_TRUE(file->sync());
  };
  auto target = Target::open(guarded_file(path, 4_MiB), 4_MiB, options);
  ASSERT_TRUE(target);
  ASSERT_TRUE((*target)->begin(sample_record(4_MiB)));
  ASSERT_TRUE(place_one(**target, {0}));
  EXPECT_EQ((*target)->commit().error().code, Code::readback_mismatch);
}

// kill -9 at each named step, on a block device: the next run gets the disk at once and knows it.
class Killed : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

void deploy_until(const std::string& device, std::string_view stage, std::string_view step) {
  TargetOptions options;
  options.slabs = 4;
  options.after_step = [&](std::string_view at_stage, std::string_view at_step) {
    if (at_stage == stage && at_step == step) ::kill(::getpid(), SIGKILL);
  };
  auto target = Target::open(guarded_device(device, 16_MiB), 16_MiB, options);
  if (!target || !(*target)->begin(sample_record(16_MiB))) return;
  // Still with the kernel when the process goes.
  for (std::uint64_t at = 2; at < 6; ++at) {
    Slab slab = (*target)->try_slab();
    const auto chunk = chunker::Digester().name(slab.bytes());
    (*target)->place(std::move(slab), {{chunk, {at * kMiB}}}, [](Result<>) {});
  }
  if (stage == "data") ::kill(::getpid(), SIGKILL);
  if (!(*target)->commit()) return;
}

TEST_P(Killed, TheNextRunKnowsTheDisk) {
  const Scratch folder;
  SeededRandom random(7);
  put(folder.path() / "disk", random_bytes(random, 16 * kMiB));  // a blank disk takes fewer steps
  const auto device = LoopDevice::make(folder.path() / "disk", 16_MiB);
  NEED_LOOP(device);
  const auto [stage, step] = GetParam();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    deploy_until(device->path(), stage, step);
    ::_exit(3);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exited " << WEXITSTATUS(status);
  const auto disk = open_guarded(*Selector::parse("dev:" + device->path()), {.size = 16_MiB}, *list_disks());
  ASSERT_TRUE(disk) << disk.error().message;
  EXPECT_EQ(disk->interrupted, sample_record(16_MiB));
}

INSTANTIATE_TEST_SUITE_P(Steps, Killed,
                         ::testing::Values(std::pair{"begin", "mark"}, std::pair{"begin", "primary header"},
                                           std::pair{"begin", "blank"}, std::pair{"data", ""}, std::pair{"commit", "rest"},
                                           std::pair{"commit", "headers"}));

}  // namespace
}  // namespace stampede::disk
