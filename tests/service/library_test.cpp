#include "src/service/library.h"

#include "src/service/site.h"
#include "src/service/store_check.h"
#include "src/trust/token.h"
#include "tests/service/store_fixture.h"

namespace stampede::service {
namespace {

Bytes random_image(std::uint64_t seed) {
  Bytes image(1'000'000);
  SeededRandom(seed).fill(image);
  return image;
}

// One partition of type 0x83, active; the sectors behind the table are random.
Bytes mbr_image() {
  Bytes image = random_image(1);
  std::ranges::fill(MutableBytes(image).first(512), std::byte{0});
  const std::array<std::uint8_t, 16> entry{0x80, 0, 2, 0, 0x83, 0, 9, 0, 8, 0, 0, 0, 0x40, 0x06, 0, 0};
  std::ranges::copy(std::as_bytes(std::span(entry)), image.begin() + 446);
  image[510] = std::byte{0x55};
  image[511] = std::byte{0xaa};
  return image;
}

class LibraryTest : public StoreTest {
 protected:
  Result<Found> find(const char* name) { return find_image(*store_, *chunker::ImageName::parse(name)); }
  std::size_t packs() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(store_->folder() / "packs"), {}));
  }
  std::vector<std::string> problems() {
    const auto report = check_store(*store_, {});
    EXPECT_TRUE(report) << report.error().message;
    return report ? report->lines() : std::vector<std::string>{};
  }
  Result<std::string> token() { return create_token(*store_, system_clock(), system_random(), std::chrono::seconds(60), 1); }
  std::filesystem::path keys() const { return store_->folder() / "keys"; }
};

TEST_F(LibraryTest, AnActivePartitionOfAnMbrIsKnownAsSuch) {
  const auto imported = try_import(mbr_image(), "mbr:1");
  ASSERT_TRUE(imported) << imported.error().message;
  ASSERT_EQ(imported->report.root.partitions.size(), 1U);
  EXPECT_EQ(imported->report.root.table, chunker::TableKind::mbr);
  EXPECT_EQ(imported->report.root.partitions[0].flags, 1U);
  EXPECT_EQ(find("mbr:1")->record.facts.partitions[0].flags, 1U);
}

TEST_F(LibraryTest, ATakenTagIsRefusedBeforeAnythingIsStored) {
  ASSERT_TRUE(try_import(random_image(2), "a:1"));
  const auto other = try_import(random_image(3), "a:1");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::tag_taken);
  EXPECT_EQ(packs(), 1U);
}

TEST_F(LibraryTest, ImportingAgainStoresNothingButWhatIsMissing) {
  const auto first = try_import(random_image(4), "a:1");
  ASSERT_TRUE(first);
  const auto again = try_import(random_image(4), "a:1");
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->tagged);
  EXPECT_EQ(again->report.shared_data, first->report.data);
  EXPECT_EQ(packs(), 1U);
  for (const auto& entry : std::filesystem::directory_iterator(store_->folder() / "packs"))
    std::filesystem::remove(entry.path());
  EXPECT_FALSE(problems().empty());
  const auto healed = try_import(random_image(4), "a:1");
  ASSERT_TRUE(healed);
  EXPECT_EQ(healed->report.new_data, first->report.data);
  EXPECT_EQ(problems(), std::vector<std::string>{});
}

TEST_F(LibraryTest, AnotherSigningKeySignsTheSameImageAgain) {
  ASSERT_TRUE(try_import(random_image(5), "a:1"));
  const auto before = find("a:1")->signed_record.signer;
  std::filesystem::remove(keys() / "signing.key");
  const auto again = try_import(random_image(5), "a:1");
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->tagged);
  EXPECT_NE(find("a:1")->signed_record.signer, before);
  EXPECT_EQ(store_->catalog().tag_history({"a", "1"})->size(), 2U);
}

TEST_F(LibraryTest, ARecordUnderAnotherNameIsNotTaken) {
  const auto imported = try_import(random_image(6), "a:1");
  ASSERT_TRUE(imported);
  auto moved = imported->record;
  moved.name = {"b", "1"};
  const auto row = store_->catalog().find_tag(chunker::ImageName{"a", "1"});
  ASSERT_TRUE(row && *row);
  ASSERT_TRUE(store_->catalog().add_tag(moved, **row));
  EXPECT_EQ(find("b:1").error().code, Code::store_damaged);
  EXPECT_TRUE(find("a:1"));
  EXPECT_EQ(problems().size(), 1U);
  const auto list = list_images(*store_);
  ASSERT_TRUE(list);
  EXPECT_EQ(list->images.size(), 1U);
  ASSERT_EQ(list->problems.size(), 1U);
  EXPECT_TRUE(list->problems[0].contains("b:1"));
}

TEST_F(LibraryTest, ARecordThatCannotBeReadDoesNotHideTheOthers) {
  const auto imported = try_import(random_image(7), "b:1");
  ASSERT_TRUE(imported);
  auto record = imported->record;
  record.name = {"a", "1"};
  ASSERT_TRUE(store_->catalog().add_tag(record, {copy(as_bytes("{}")), {}, {}}));
  const auto list = list_images(*store_);
  ASSERT_TRUE(list);
  EXPECT_EQ(list->images.size(), 1U);
  ASSERT_EQ(list->problems.size(), 1U);
  EXPECT_TRUE(list->problems[0].contains("a:1"));
}

TEST_F(LibraryTest, CheckFindsAForgedReceipt) {
  ASSERT_TRUE(store_->catalog().add_receipt({.number = 0,
                                             .node = trust::PrivateKey::generate().public_key(),
                                             .received = 1,
                                             .verdict = "success",
                                             .receipt = copy(as_bytes("{}")),
                                             .signature = {}}));
  ASSERT_EQ(problems().size(), 1U);
  EXPECT_TRUE(problems()[0].contains("receipt 1"));
}

TEST_F(LibraryTest, ATokenNamesAtLeastOneSignerAndNoMoreThanItHolds) {
  const auto none = token();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::not_found);
  EXPECT_TRUE(none.error().message.contains((keys() / "signers").string()));
  EXPECT_FALSE(std::filesystem::exists(keys() / "signing.key"));
  std::string signers;
  for (std::size_t i = 0; i < trust::kMaxSigners; ++i)
    signers += trust::to_string(trust::PrivateKey::generate().public_key()) + "\n";
  ASSERT_TRUE(replace_file(keys() / "signers", as_bytes(signers)));
  const auto full = token();
  ASSERT_TRUE(full) << full.error().message;
  EXPECT_TRUE(trust::parse_token(*full));
  signers += trust::to_string(trust::PrivateKey::generate().public_key()) + "\n";
  ASSERT_TRUE(replace_file(keys() / "signers", as_bytes(signers)));
  const auto over = token();
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::usage);
  EXPECT_TRUE(over.error().message.contains((keys() / "signers").string()));
}

}  // namespace
}  // namespace stampede::service
