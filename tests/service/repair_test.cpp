// What is damaged in a store is mended, from what is left of it and from another depot.
#include "src/service/store_repair.h"

#include <fcntl.h>

#include "cache/pack.h"
#include "src/service/pull.h"
#include "tests/service/depot_fixture.h"

namespace stampede::service {
namespace {

// The depot is sound; the other store has the same image, and is damaged.
class RepairTest : public DepotTest {
 protected:
  void SetUp() override {
    DepotTest::SetUp();
    image_ = make_image(6'000'000, 31);
    import(image_, "test:1");
    auto store = cache::Store::open(folder_.path() / "other", system_clock());
    ASSERT_TRUE(store);
    other_ = std::move(*store);
    PullOptions pull;
    reach(pull);
    pull.image = *chunker::ImageName::parse("test:1");
    const auto pulled = pull_image(*other_, pull);
    ASSERT_TRUE(pulled) << pulled.error().message;
  }

  void reach(deploy::AccessOptions& options) {
    options.depot = at_;
    options.state = folder_.path() / "machine";
    options.token = *trust::parse_token(token());
    options.peer_listen.reset();
    options.transfer = net::Transfer::depot;
    options.patience = std::chrono::seconds(20);
  }
  std::vector<std::filesystem::path> packs() const {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(other_->folder() / "packs")) out.push_back(entry.path());
    return out;
  }
  static void flip(const std::filesystem::path& path, std::uint64_t at) {
    const auto file = File::open(path, O_RDWR);
    ASSERT_TRUE(file);
    std::array<std::byte, 1> byte{};
    ASSERT_TRUE(file->read_at({at}, byte));
    byte[0] ^= std::byte{0x10};
    ASSERT_TRUE(file->write_at({at}, byte));
  }
  // A flipped bit in the sealed bytes, and one in the head, of two records.
  void damage_records(const std::filesystem::path& path) {
    const auto pack = cache::Pack::open(path);
    ASSERT_TRUE(pack);
    flip(path, pack->pack->entry(0)->sealed().bytes + 7);
    flip(path, pack->pack->entry(1)->record.bytes + 20);
  }
  Result<Repaired> repair(bool fetch, bool dry_run = false) {
    RepairOptions options;
    reach(options);
    options.fetch = fetch;
    options.dry_run = dry_run;
    return repair_store(*other_, options);
  }
  bool is_sound() {
    const auto report = check_store(*other_, {});
    EXPECT_TRUE(report) << report.error().message;
    return report && report->sound();
  }
  void expect_image() {
    const auto found = find_image(*other_, *chunker::ImageName::parse("test:1"));
    ASSERT_TRUE(found) << found.error().message;
    const auto manifest = chunker::load_manifest(other_->chunks(), found->record.image);
    ASSERT_TRUE(manifest) << manifest.error().message;
    ASSERT_TRUE(chunker::export_image(*manifest, other_->chunks(), folder_.path() / "out", {}));
    EXPECT_EQ(*read_file(folder_.path() / "out", 1_GiB), image_);
  }

  Bytes image_;
  std::unique_ptr<cache::Store> other_;
};

TEST_F(RepairTest, DamagedRecordsComeFromTheDepotAndTheRestIsKept) {
  const auto before = packs();
  ASSERT_EQ(before.size(), 1U);
  damage_records(before.front());
  ASSERT_FALSE(is_sound());
  const auto told = repair(true, true);
  ASSERT_TRUE(told) << told.error().message;
  EXPECT_EQ(told->packs.size(), 1U);
  EXPECT_EQ(told->lost, 2U);
  EXPECT_EQ(packs(), before);

  const auto alone = repair(false);
  ASSERT_TRUE(alone) << alone.error().message;
  EXPECT_EQ(alone->not_mended.size(), 2U);
  EXPECT_GT(alone->kept, 10U);
  ASSERT_EQ(alone->aside.size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(alone->aside.front()));
  ASSERT_FALSE(is_sound());

  const auto mended = repair(true);
  ASSERT_TRUE(mended) << mended.error().message;
  EXPECT_TRUE(mended->sound());
  EXPECT_EQ(mended->fetched, 2U);
  EXPECT_TRUE(is_sound());
  expect_image();
}

TEST_F(RepairTest, AFooterIsMadeAnewFromTheRecords) {
  const auto before = packs();
  ASSERT_EQ(before.size(), 1U);
  flip(before.front(), std::filesystem::file_size(before.front()) - 100);
  ASSERT_FALSE(is_sound());
  const auto mended = repair(false);
  ASSERT_TRUE(mended) << mended.error().message;
  EXPECT_TRUE(mended->sound());
  EXPECT_TRUE(mended->aside.empty());
  EXPECT_EQ(packs(), before);
  EXPECT_TRUE(is_sound());
  expect_image();
}

TEST_F(RepairTest, APackThatIsGoneComesAgain) {
  for (const auto& path : packs()) std::filesystem::remove(path);
  ASSERT_FALSE(is_sound());
  const auto mended = repair(true);
  ASSERT_TRUE(mended) << mended.error().message;
  EXPECT_TRUE(mended->sound());
  EXPECT_GT(mended->fetched, 10U);
  EXPECT_TRUE(is_sound());
  expect_image();
}

TEST_F(RepairTest, WhatTheDepotLacksTooIsSaid) {
  const auto own = packs().front();
  damage_records(own);
  for (const auto& entry : std::filesystem::directory_iterator(store_->folder() / "packs")) {
    std::filesystem::copy_file(own, folder_.path() / "copy", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::remove(entry.path());
  }
  ASSERT_TRUE(store_->refresh());  // what was open would be given still
  const auto mended = repair(true);
  ASSERT_TRUE(mended) << mended.error().message;
  EXPECT_FALSE(mended->sound());
  ASSERT_EQ(mended->not_mended.size(), 2U);
  EXPECT_EQ(mended->not_mended.front().images, "test:1");
}

TEST_F(RepairTest, ASoundStoreIsLeftAsItIs) {
  const auto before = packs();
  const auto mended = repair(true);
  ASSERT_TRUE(mended) << mended.error().message;
  EXPECT_TRUE(mended->sound());
  EXPECT_TRUE(mended->packs.empty());
  EXPECT_EQ(packs(), before);
}

}  // namespace
}  // namespace stampede::service
