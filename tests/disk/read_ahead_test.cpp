#include "src/disk/read_ahead.h"

#include <gtest/gtest.h>

#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

// More than is kept, and a last piece that is not whole.
constexpr Size kDisk = ReadAhead::kPiece * (ReadAhead::kPieces + 5) + 12_KiB;

class ReadAheadTest : public ::testing::Test {
 protected:
  Bytes read(Offset at, std::size_t size) {
    Bytes out(size);
    EXPECT_TRUE(ahead_.read(at, out));
    return out;
  }
  Bytes is(Offset at, std::size_t size) const {
    const auto from = model_.begin() + static_cast<long>(at.bytes);
    return {from, from + static_cast<long>(size)};
  }

  const Scratch folder_;
  SeededRandom random_{41};
  Bytes model_ = random_bytes(random_, kDisk.bytes);
  std::size_t reads_ = 0;
  std::uint64_t bad_ = UINT64_MAX;  // a byte that cannot be read
  RawDisk disk_{(put(folder_ / "disk", model_), guarded_file(folder_ / "disk", kDisk)), [this](const Operation& operation) {
                  if (operation.kind != Operation::Kind::read) return Fault{};
                  ++reads_;
                  const bool bad = operation.at <= bad_ && bad_ - operation.at < operation.size;
                  return bad ? Fault{.error = 5} : Fault{};
                }};
  ReadAhead ahead_{disk_};
};

TEST_F(ReadAheadTest, ReadsWhatIsThereAndWhatWasWritten) {
  for (int i = 0; i < 3000; ++i) {
    const std::size_t size = 1 + random_.below(random_.below(8) == 0 ? 200000 : 5000);
    const Offset at{random_.below(kDisk.bytes - size + 1)};
    if (random_.below(3) != 0) {
      ASSERT_EQ(read(at, size), is(at, size)) << at.bytes << "+" << size;
      continue;
    }
    const Bytes bytes = random_bytes(random_, size);
    ASSERT_TRUE(ahead_.write(at, bytes));
    std::ranges::copy(bytes, model_.begin() + static_cast<long>(at.bytes));
  }
  EXPECT_EQ(content_of(folder_ / "disk"), model_);
}

TEST_F(ReadAheadTest, OneReadBringsManyBlocks) {
  for (std::uint64_t at = 0; at < (1_MiB).bytes; at += 4096) EXPECT_EQ(read({at}, 4096), is({at}, 4096));
  EXPECT_EQ(reads_, 1_MiB .bytes / ReadAhead::kPiece.bytes);
}

TEST_F(ReadAheadTest, ANeighbourThatCannotBeReadIsNobodysMatter) {
  bad_ = 70000;
  EXPECT_EQ(read({65536}, 4096), is({65536}, 4096));
  Bytes out(4096);
  EXPECT_FALSE(ahead_.read({69632}, out));
  EXPECT_EQ(read({0}, 4096), is({0}, 4096));
}

TEST_F(ReadAheadTest, WhatIsForgottenComesFromTheDisk) {
  read({}, 4096);
  model_[100] ^= std::byte{1};
  ASSERT_TRUE(disk_.write({100}, ByteView(model_).subspan(100, 1)));
  ahead_.forget();
  EXPECT_EQ(read({}, 4096), is({}, 4096));
}

TEST_F(ReadAheadTest, NothingIsBeyondTheEnd) {
  Bytes out(2);
  EXPECT_FALSE(ahead_.read({kDisk.bytes - 1}, out));
  EXPECT_FALSE(ahead_.read({kDisk.bytes + 1}, out));
  EXPECT_TRUE(ahead_.read({kDisk.bytes}, MutableBytes(out).first(0)));
}

}  // namespace
}  // namespace stampede::disk
