#include "src/disk/journal.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "chunker/digest.h"
#include "src/disk/target.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"

namespace {
std::mutex flush_mutex;
std::function<void()> on_flush;
}  // namespace

// This program's own, before the C library's: a test cannot pull the plug, but see what is on the disk before each flush.
extern "C" int fdatasync(int fd) {
  {
    const std::lock_guard lock(flush_mutex);
    if (on_flush) on_flush();
  }
  return reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

namespace stampede::disk {
namespace {

constexpr std::uint32_t kSpans = 11;

Bitmap bits(std::initializer_list<std::uint32_t> set, std::uint32_t size = kSpans) {
  Bitmap bitmap(size);
  for (const std::uint32_t i : set) bitmap.set(i);
  return bitmap;
}

JournalRecord sample() {
  JournalRecord record{7, {}, 20_GiB, bits({0, 3, 10})};
  record.image.digest.fill(std::byte{0xab});
  return record;
}

bool same(const JournalRecord& a, const JournalRecord& b) {
  return a.sequence == b.sequence && a.image == b.image && a.disk_size == b.disk_size &&
         std::ranges::equal(a.durable.bytes(), b.durable.bytes());
}

// The format, byte by byte, written down apart from the encoder.
TEST(Journal, RecordIsTheDocumentedBytes) {
  ByteWriter out;
  out.raw(as_bytes("STMPJRNL")).raw(as_bytes(std::string_view("\x01\0\0\0\0\0\0\0", 8)));
  out.raw(*from_hex("0700000000000000")).raw(Bytes(32, std::byte{0xab}));
  out.raw(*from_hex("0000000005000000")).raw(*from_hex("0b000000")).raw(Bytes(28));
  Bytes golden = out.take();
  ASSERT_EQ(golden.size(), 96U);
  const Bytes bitmap = *from_hex("0904");
  Bytes hashed = golden;
  hashed.insert(hashed.end(), bitmap.begin(), bitmap.end());
  const auto digest = chunker::sha256(hashed);
  golden.insert(golden.end(), digest.begin(), digest.end());
  golden.insert(golden.end(), bitmap.begin(), bitmap.end());
  EXPECT_EQ(to_hex(encode_journal(sample())), to_hex(golden));
  // Pins the hash too: a change of the format must be a new version.
  EXPECT_EQ(to_hex(digest), "c59d968f2203ca82048fd37ec2c0a5f7d0437db484f74c273cda750e9a69a81b");
  const auto record = decode_journal(golden);
  ASSERT_TRUE(record);
  EXPECT_TRUE(same(*record, sample()));
}

TEST(Journal, AnyFlippedBitIsRefused) {
  const Bytes record = encode_journal(sample());
  for (std::size_t i = 0; i < record.size() * 8; ++i) {
    Bytes damaged = record;
    damaged[i / 8] ^= static_cast<std::byte>(1U << i % 8);
    EXPECT_FALSE(decode_journal(damaged)) << i;
  }
}

TEST(Journal, ShortOrEmptyIsRefused) {
  const Bytes record = encode_journal(sample());
  for (std::size_t size = 0; size < record.size(); ++size) EXPECT_FALSE(decode_journal(ByteView(record).first(size)));
  EXPECT_FALSE(decode_journal(Bytes(kJournalSlot.bytes)));
  Bytes longer = record;
  longer.resize(4096, std::byte{0x77});
  EXPECT_TRUE(decode_journal(longer));
}

TEST(Journal, TheLargestFillsItsSlot) {
  JournalRecord record = sample();
  record.durable = bits({0, kJournalSpans - 1}, kJournalSpans);
  const Bytes slot = encode_journal(record);
  EXPECT_EQ(slot.size(), kJournalSlot.bytes);
  EXPECT_TRUE(decode_journal(slot));
  EXPECT_LE((kJournalSlots[0] + kJournalSlot).bytes, kJournalSlots[1].bytes);
  EXPECT_LE((kJournalSlots[1] + kJournalSlot).bytes, kCommitHead.bytes);
}

// A disk whose deployment keeps a journal, and ends in the middle of it.
class KeptJournal : public ::testing::Test {
 protected:
  void SetUp() override {
    put(path_, Bytes(kDisk.bytes, std::byte{0x0d}));
    open();
  }
  void open(Size disk = kDisk, Faults faults = {}) {
    target_.reset();
    auto target = Target::open(guarded_file(path_, disk), disk,
                               {.slabs = 2, .depth = 2, .journal_every = every_, .faults = std::move(faults)});
    ASSERT_TRUE(target);
    target_ = std::move(*target);
  }
  void begin(Bitmap placed) {
    placed_ = std::move(placed);
    ASSERT_TRUE(target_->begin(record_));
    ASSERT_TRUE(target_->keep_journal([this] {
      const std::scoped_lock lock(mutex_);
      ++asked_;
      return placed_;
    }));
  }
  void set(std::uint32_t first, std::uint32_t end) {
    const std::scoped_lock lock(mutex_);
    for (std::uint32_t span = first; span < end; ++span) placed_.set(span);
  }
  // Until that has been seen, and named if it is to be: at the first time that it is asked for what was placed before may be
  // on its way.
  void place(std::uint32_t span) { place(span, span + 1); }
  void place(std::uint32_t first, std::uint32_t end) {
    set(first, end);
    std::uint64_t then = 0;
    {
      const std::scoped_lock lock(mutex_);
      then = asked_;
    }
    while (true) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const std::scoped_lock lock(mutex_);
      if (asked_ >= then + 2) return;
    }
  }
  std::vector<std::uint32_t> found(std::uint32_t spans = kSpans, const chunker::ImageId* image = nullptr) {
    const auto journal = target_->journal(image == nullptr ? record_.image : *image, spans);
    std::vector<std::uint32_t> named;
    if (!journal || !*journal) return {~0U};
    for (std::uint32_t i = 0; i < (*journal)->size(); ++i)
      if ((*journal)->test(i)) named.push_back(i);
    return named;
  }

  static constexpr Size kDisk = 4_MiB;
  Duration every_ = std::chrono::milliseconds(1);
  using Named = std::vector<std::uint32_t>;
  const Named nothing_{~0U};
  const Scratch folder_;
  const std::filesystem::path path_ = folder_ / "disk";
  const InProgress record_ = sample_record(kDisk);
  std::mutex mutex_;
  Bitmap placed_;
  std::uint64_t asked_ = 0;
  std::unique_ptr<Target> target_;
};

TEST_F(KeptJournal, NamesWhatWasPlacedWhenTheRunEnds) {
  EXPECT_EQ(found(), nothing_);
  begin(Bitmap(kSpans));
  open();
  EXPECT_EQ(found(), Named{});
  begin(bits({4}));
  open();
  EXPECT_EQ(found(), Named{4});
  begin(bits({4}));
  for (const std::uint32_t span : {7U, 2U, 10U}) place(span);
  open();
  EXPECT_EQ(found(), (Named{2, 4, 7, 10}));
}

TEST_F(KeptJournal, CountsWhatIsNew) {
  every_ = std::chrono::hours(1);
  open();
  begin(Bitmap(400));
  place(0, 127);
  open();
  EXPECT_EQ(found(400), Named{});
  begin(Bitmap(400));
  place(0, 127);
  place(127, 128);
  open();
  EXPECT_EQ(found(400).size(), 128U);
}

TEST_F(KeptJournal, ByTimeOnlyCountsNothingAndNothingOfThatAfterwards) {
  every_ = std::chrono::hours(1);
  open();
  for (const bool seen : {true, false}) {
    for (const std::uint32_t more : {127U, 128U}) {
      begin(Bitmap(400));
      target_->keep_journal_by_time(true);
      seen ? place(0, 200) : set(0, 200);
      target_->keep_journal_by_time(false);
      place(0, 0);
      place(200, 200 + more);
      open();
      EXPECT_EQ(found(400).size(), more < 128 ? 0 : 200 + more) << seen;
    }
  }
}

TEST_F(KeptJournal, ByTimeOnlyComesByTime) {
  begin(bits({4}));
  target_->keep_journal_by_time(true);
  place(7);
  open();
  EXPECT_EQ(found(), (Named{4, 7}));
}

TEST_F(KeptJournal, IsOfThatImageAndDiskAlone) {
  begin(bits({4}));
  open();
  EXPECT_EQ(found(kSpans + 1), nothing_);
  chunker::ImageId other = record_.image;
  other.digest[5] ^= std::byte{1};
  EXPECT_EQ(found(kSpans, &other), nothing_);
  std::filesystem::resize_file(path_, (kDisk + 1_MiB).bytes);
  open(kDisk + 1_MiB);
  EXPECT_EQ(found(), nothing_);
}

TEST_F(KeptJournal, ATornRecordLeavesTheOneBefore) {
  begin(bits({1}));
  place(5);
  open();
  ASSERT_EQ(found(), (Named{1, 5}));
  Bytes disk = content_of(path_);
  const auto newest = std::ranges::max(kJournalSlots, {}, [&](Offset slot) {
    const auto record = decode_journal(ByteView(disk).subspan(slot.bytes, kJournalSlot.bytes));
    return record ? record->sequence : 0;
  });
  disk[newest.bytes + 100] ^= std::byte{1};
  put(path_, disk);
  open();
  EXPECT_EQ(found(), Named{1});
}

// Who says that it is placed may not know that its write has failed.
TEST_F(KeptJournal, NamesNothingNewOnceAWriteHasFailed) {
  open(kDisk, [](const Operation& operation) {
    return operation.kind == Operation::Kind::zero && operation.at >= (2_MiB).bytes ? Fault{.error = EIO} : Fault{};
  });
  begin(bits({1}));
  std::promise<bool> failed;
  target_->zero({(2_MiB).bytes}, 64_KiB, [&](const Result<>& done) { failed.set_value(!done); });
  ASSERT_TRUE(failed.get_future().get());
  std::uint64_t then = 0;
  {
    const std::scoped_lock lock(mutex_);
    placed_.set(5);
    then = asked_;
  }
  for (int i = 0; i < 100; ++i) {  // long enough for a record, were there one
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::scoped_lock lock(mutex_);
    if (asked_ >= then + 2) break;
  }
  open();
  EXPECT_EQ(found(), Named{1});
}

TEST_F(KeptJournal, NamesEverythingAfterTheFlushAndIsGoneAfterTheCommit) {
  begin(bits({1}));
  {
    const std::scoped_lock lock(mutex_);
    for (std::uint32_t i = 0; i < kSpans; ++i) placed_.set(i);
  }
  ASSERT_TRUE(target_->flush());
  const Bytes flushed = content_of(path_);
  ASSERT_TRUE(target_->commit());
  open();
  EXPECT_EQ(found(), nothing_);
  put(path_, flushed);
  open();
  EXPECT_EQ(found().size(), kSpans);
}

// Asked for the n-th time, n spans are placed. What the journal names before a flush was placed before the one before it.
TEST_F(KeptJournal, NamesNothingThatWasNotFlushed) {
  std::uint32_t asked = 0, flushed = 0, flushes = 0;
  std::atomic<bool> enough = false;
  const auto newest = [&] {
    const Bytes disk = content_of(path_);
    std::uint64_t sequence = 0;
    std::uint32_t named = 0;
    for (const Offset slot : kJournalSlots) {
      const auto record = decode_journal(ByteView(disk).subspan(slot.bytes, kJournalSlot.bytes));
      if (!record || record->sequence < sequence) continue;
      sequence = record->sequence;
      named = record->durable.count();
    }
    return named;
  };
  {
    const std::lock_guard lock(flush_mutex);
    on_flush = [&] {
      EXPECT_LE(newest(), flushed);
      flushed = asked;
      if (++flushes == 20) enough = true;
    };
  }
  ASSERT_TRUE(target_->begin(record_));
  ASSERT_TRUE(target_->keep_journal([&] {
    const std::lock_guard lock(flush_mutex);
    Bitmap placed(1000);
    for (std::uint32_t i = 0; i < asked; ++i) placed.set(i);
    if (asked < 1000) ++asked;
    return placed;
  }));
  while (!enough) std::this_thread::yield();
  ASSERT_TRUE(target_->flush());
  {
    const std::lock_guard lock(flush_mutex);
    on_flush = {};
  }
  EXPECT_GE(newest(), 10U);
}

TEST_F(KeptJournal, IsNotKeptWhereThereIsNoRoom) {
  begin(Bitmap(kJournalSpans + 1));
  ASSERT_TRUE(target_->flush());
  open();
  EXPECT_EQ(found(kJournalSpans + 1), nothing_);
  std::filesystem::resize_file(path_, 512 * 1024);
  open(512_KiB);
  begin(bits({4}));
  ASSERT_TRUE(target_->flush());
  EXPECT_TRUE(all_zero(ByteView(content_of(path_)).subspan(512)));
}

TEST_F(KeptJournal, IsAskedForBeforeTheDiskChanges) {
  begin(bits({4}));
  EXPECT_FALSE(target_->journal(record_.image, kSpans));
}

}  // namespace
}  // namespace stampede::disk
