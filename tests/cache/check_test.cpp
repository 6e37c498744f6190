// How a check of packs goes on where it was, and reads another share each time.
#include <atomic>
#include <set>

#include "cache/check_pass.h"
#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

class Check : public ::testing::Test {
 protected:
  // Some packs, in order of their names.
  void SetUp() override {
    store_ = open_store(folder_ / "store");
    for (std::uint64_t seed = 1; seed <= 4; ++seed) put_all(*store_, some_chunks(seed, 60));
    for (const auto& path : files(folder_ / "store", ".pack")) packs_.push_back(Pack::open(path)->pack);
  }
  StoreCheck check(const CheckOptions& options = {}) {
    auto check = store_->check_packs(options);
    EXPECT_DONE(check);
    return check ? *std::move(check) : StoreCheck{};
  }
  std::uint64_t sealed() const {
    std::uint64_t bytes = 0;
    for (const auto& pack : packs_) bytes += sealed_of(*pack);
    return bytes;
  }
  static std::uint64_t sealed_of(const Pack& pack) {
    std::uint64_t bytes = 0;
    for (const PackEntry& entry : *pack.entries()) bytes += entry.sealed_size;
    return bytes;
  }
  // Of the pack's first record, the last sealed byte.
  static void damage(const Pack& pack) {
    const auto file = File::open(pack.name(), O_RDWR);
    ASSERT_DONE(file);
    RecordHead head{};
    ASSERT_DONE(file->read_at({kPackHead}, head));
    const Offset at{decode_record_head(head, {kPackHead})->end().bytes - 1};
    std::array<std::byte, 1> byte{};
    ASSERT_DONE(file->read_at(at, byte));
    byte[0] ^= std::byte{1};
    ASSERT_DONE(file->write_at(at, byte));
  }
  // Ends the check when so many records have been read.
  Result<StoreCheck> interrupted_after(int records) {
    std::atomic<int> left = records;
    return store_->check_packs({.interrupted = [&] { return --left < 0; }});
  }
  bool has_state() const { return std::filesystem::exists(folder_ / "store/check-state"); }

  Scratch folder_;
  std::unique_ptr<Store> store_;
  std::vector<std::shared_ptr<const Pack>> packs_;
};

TEST_F(Check, ReadsAllAndKeepsNoState) {
  const StoreCheck all = check();
  EXPECT_EQ(all.read, sealed());
  EXPECT_EQ(all.bytes, sealed());
  EXPECT_TRUE(all.complete);
  EXPECT_FALSE(has_state());
}

TEST_F(Check, GoesOnAfterAnInterruption) {
  const auto cut = interrupted_after(150);
  EXPECT_CODE(Code::interrupted, cut);
  EXPECT_TRUE(has_state());
  const StoreCheck rest = check();
  EXPECT_EQ(rest.read, sealed() - sealed_of(*packs_[0]) - sealed_of(*packs_[1]));
  EXPECT_EQ(rest.bytes, sealed());
  EXPECT_EQ(rest.chunks, 240U);
  EXPECT_FALSE(has_state());
  EXPECT_EQ(check().read, sealed());
}

TEST_F(Check, BeginsAnewWhereToldOrWhereTheStateIsNoGood) {
  EXPECT_CODE(Code::interrupted, interrupted_after(150));
  EXPECT_EQ(check({.from_start = true}).read, sealed());

  EXPECT_CODE(Code::interrupted, interrupted_after(150));
  Bytes state = *read_file(folder_ / "store/check-state", 1_MiB);
  state[100] ^= std::byte{1};
  ASSERT_DONE(replace_file(folder_ / "store/check-state", state));
  EXPECT_EQ(check().read, sealed());
}

TEST_F(Check, ReadsAPackAgainThatChangedMeanwhile) {
  EXPECT_CODE(Code::interrupted, interrupted_after(150));
  damage(*packs_[0]);
  const StoreCheck rest = check();
  EXPECT_EQ(rest.read, sealed() - sealed_of(*packs_[1]));
  ASSERT_EQ(rest.bad.size(), 1U);
  EXPECT_EQ(rest.bad[0].pack, packs_[0]->file_name());
}

TEST_F(Check, SaysAgainWhatWasDamagedBeforeTheInterruption) {
  damage(*packs_[0]);
  EXPECT_CODE(Code::interrupted, interrupted_after(150));
  EXPECT_EQ(check().bad.size(), 1U);
}

TEST_F(Check, ReadsAnotherShareEachTime) {
  for (const unsigned percent : {1U, 7U, 10U, 34U, 50U}) {
    SCOPED_TRACE(percent);
    std::filesystem::remove(folder_ / "store/check-share");
    const std::uint64_t runs = (100 + percent - 1) / percent;
    std::uint64_t read = 0;
    bool complete = false;
    for (std::uint64_t i = 0; i < runs && !complete; ++i) {
      const StoreCheck part = check({.percent = percent});
      EXPECT_GT(part.read, 0U);
      EXPECT_LT(part.read, sealed() * percent / 100 + 60'000) << "a chunk too many at most";
      EXPECT_EQ(part.bytes, sealed());
      read += part.read;
      complete = part.complete;
    }
    EXPECT_GE(read, sealed() * 99 / 100);
  }
}

TEST_F(Check, FindsDamageByShares) {
  damage(*packs_[3]);
  int found = 0, after = 0;
  for (int i = 0; i < 10; ++i) {
    const bool now = !check({.percent = 10}).bad.empty();
    found += now;
    after += found > 0 && !now;
  }
  EXPECT_GT(found, 0);
  EXPECT_EQ(after, 0) << "what was found is looked at each time";
}

TEST_F(Check, NamesTheChunksOfAPackThatCannotBeOpened) {
  const std::filesystem::path path = packs_[2]->name();
  std::set<chunker::ChunkId> ids;
  for (const PackEntry& entry : *packs_[2]->entries()) ids.insert(entry.id);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  const StoreCheck found = check();
  EXPECT_EQ(found.problems.size(), 1U);
  for (const auto& bad : found.bad) {
    EXPECT_EQ(bad.pack, path.filename().string());
    EXPECT_EQ(ids.erase(bad.id), 1U);
  }
  EXPECT_TRUE(ids.empty());
}

TEST_F(Check, KeepsItsStateByteByByte) {
  EXPECT_CODE(Code::interrupted, interrupted_after(70));
  const Bytes state = *read_file(folder_ / "store/check-state", 1_MiB);
  ASSERT_EQ(state.size(), 24U + 72 + 8);
  EXPECT_EQ(as_text(ByteView(state).first(8)), "STMPPASS");
  EXPECT_EQ(to_hex(ByteView(state).subspan(24, 32)), std::filesystem::path(packs_[0]->name()).stem().string());
  EXPECT_EQ(load_le<std::uint64_t>(ByteView(state).subspan(64)), packs_[0]->stamp().size);
  EXPECT_EQ(load_le<std::uint64_t>(ByteView(state).subspan(88)), packs_[0]->records_end().bytes);
  const auto again = CheckPass::decode(state);
  ASSERT_DONE(again);
  EXPECT_EQ(again->encode(), state);
  for (std::size_t i = 0; i < state.size(); ++i) {
    Bytes flipped = state;
    flipped[i] ^= std::byte{16};
    EXPECT_CODE(Code::content_altered, CheckPass::decode(flipped)) << i;
    EXPECT_CODE(Code::content_altered, CheckPass::decode(ByteView(state).first(i))) << i;
  }
}

}  // namespace
}  // namespace stampede::cache
