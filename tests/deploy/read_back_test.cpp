// What a disk must return in the end, and that every bit of it counts.
#include "src/deploy/read_back.h"

#include "src/deploy/free_space.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::deploy {
namespace {

using namespace stampede::testing;

// An image as a disk that holds it.
class ReadBackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_image(disk_, kSize, filesystem_like(31, kSize.bytes / 4096));
    auto report =
        chunker::import_image(*File::open(disk_, O_RDONLY), {}, store_, {.threads = 2, .level = 1, .progress = {}});
    ASSERT_DONE(report);
    auto manifest = chunker::load_manifest(store_, report->image);
    ASSERT_DONE(manifest);
    plan_.emplace(*manifest);
    ASSERT_FALSE(plan_->zero_extents().empty());
    const auto selector = disk::Selector::parse("file:" + disk_.string());
    ASSERT_DONE(selector);
    auto guarded = disk::open_guarded(*selector, {.size = kSize, .overwrite = disk_.string()}, {});
    ASSERT_DONE(guarded);
    auto target = disk::Target::open(*std::move(guarded), kSize, {.slabs = 4, .depth = 4});
    ASSERT_DONE(target);
    target_ = *std::move(target);
    auto file = File::open(disk_, O_RDWR);
    ASSERT_DONE(file);
    file_ = *std::move(file);
  }
  void flip(std::uint64_t bit) {
    Bytes byte(1);
    ASSERT_DONE(file_.read_at({bit / 8}, byte));
    byte[0] ^= std::byte{1} << static_cast<int>(bit % 8);
    ASSERT_DONE(file_.write_at({bit / 8}, byte));
    ASSERT_DONE(file_.sync());
  }
  Result<> read_back(Verify verify) { return deploy::read_back(*target_, {*plan_, plan_->zero_extents(), verify}, {}); }
  // Flipped, it is found; flipped back, it is not.
  void expect_found(std::uint64_t bit, Verify verify) {
    flip(bit);
    const auto found = read_back(verify);
    ASSERT_FALSE(found) << "bit " << bit;
    EXPECT_EQ(found.error().code, Code::readback_mismatch);
    EXPECT_NE(found.error().message.find(disk_.string()), std::string::npos) << found.error().message;
    flip(bit);
  }

  static constexpr Size kSize = 10_MiB;
  Scratch scratch_;
  std::filesystem::path disk_ = scratch_ / "disk";
  MemoryStore store_;
  std::optional<Plan> plan_;
  std::unique_ptr<disk::Target> target_;
  File file_;
  SeededRandom random_{32};
};

TEST_F(ReadBackTest, AHundredFlippedBitsAreFoundOneByOne) {
  ASSERT_DONE(read_back(Verify::full));
  for (int i = 0; i < 100; ++i) ASSERT_NO_FATAL_FAILURE(expect_found(random_.below(kSize.bytes * 8), Verify::full));
  EXPECT_DONE(read_back(Verify::full));
}

TEST_F(ReadBackTest, WithoutTheZerosEveryBitOfTheDataCounts) {
  ASSERT_DONE(read_back(Verify::data));
  for (int i = 0; i < 40; ++i) {
    const auto place = plan_->expected(random_.below(plan_->places().size()));
    ASSERT_NO_FATAL_FAILURE(expect_found(place.at.bytes * 8 + random_.below(place.length.bytes * 8), Verify::data));
  }
  for (const auto& zeros : plan_->zero_extents()) {
    ASSERT_NO_FATAL_FAILURE(expect_found(zeros.offset.bytes * 8, Verify::data));
    ASSERT_NO_FATAL_FAILURE(expect_found((zeros.offset + zeros.length).bytes * 8 - 1, Verify::data));
  }
  EXPECT_DONE(read_back(Verify::data));
}

TEST_F(ReadBackTest, PartsOfAnySizeSayTheSameInDiskOrder) {
  const auto all = [&](std::size_t most) {
    Expectations expectations(*plan_, plan_->zero_extents(), Verify::full);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
    for (auto part = expectations.next(most); !part.empty(); part = expectations.next(most))
      for (const auto& range : part) out.emplace_back(range.at.bytes, range.length.bytes);
    return out;
  };
  const auto whole = all(SIZE_MAX);
  std::uint64_t at = 0;
  for (const auto& [offset, length] : whole) {
    EXPECT_EQ(offset, at);
    at += length;
  }
  EXPECT_EQ(at, kSize.bytes);
  for (const std::size_t most : {1UL, 2UL, 7UL, 100UL}) EXPECT_EQ(all(most), whole);
}

TEST_F(ReadBackTest, ItCanBeInterrupted) {
  const auto result = deploy::read_back(*target_, {*plan_, plan_->zero_extents(), Verify::full}, [](Size) { return false; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::interrupted);
}

TEST(FreeSpace, IsWhatTheImageDoesNotSayAndWhatLiesBeyondIt) {
  using enum chunker::RecordKind;
  chunker::Manifest manifest;
  manifest.segments.push_back({{}, {{unspecified, 1_MiB, {}}, {zero, 1_MiB, {}}, {unspecified, 64_KiB, {}}}});
  const auto extents = unspecified_extents(manifest);
  ASSERT_EQ(extents.size(), 2U);
  EXPECT_EQ(extents[1].offset.bytes, 2U << 20);
  const auto cut = [&](const std::vector<std::uint64_t>& numbers) {
    std::string out;
    for (const auto& extent : without_blocks({{{4096}, {4 * 4096}}, {{9 * 4096}, {4096}}}, numbers))
      out += fmt::format("{}+{} ", extent.offset.bytes / 4096, extent.length.bytes / 4096);
    return out;
  };
  EXPECT_EQ(cut({}), "1+4 9+1 ");
  EXPECT_EQ(cut({0, 5, 8, 10}), "1+4 9+1 ");
  EXPECT_EQ(cut({1, 3, 9}), "2+1 4+1 ");
  EXPECT_EQ(cut({2, 4}), "1+1 3+1 9+1 ");
  EXPECT_EQ(cut({1, 2, 3, 4, 9}), "");
  EXPECT_TRUE(beyond(1_MiB, 1_MiB).empty());
  EXPECT_TRUE(beyond({(1 << 20) - 100}, 1_MiB).empty());
  ASSERT_EQ(beyond({(1 << 20) + 1}, 2_MiB).size(), 1U);
  EXPECT_EQ(beyond({(1 << 20) + 1}, 2_MiB)[0].offset.bytes, (1U << 20) + 4096);
  EXPECT_EQ(beyond({(1 << 20) + 1}, 2_MiB)[0].length, Size{(1 << 20) - 4096});
  for (const auto kind : {Unspecified::leave, Unspecified::discard, Unspecified::zero})
    EXPECT_EQ(unspecified_named(name_of(kind)), kind);
  EXPECT_EQ(unspecified_named("lose"), std::nullopt);
}

}  // namespace
}  // namespace stampede::deploy
