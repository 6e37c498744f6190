#include "tests/powerloss/write_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scratch.h"

namespace stampede::powerloss {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class WriteLog : public ::testing::Test {
 protected:
  // The format, byte by byte, written down apart from the reader.
  void super(std::uint64_t entries, std::uint64_t version = 1) {
    out_.u64(0x6a736677736872).u64(version).u64(entries).u32(512).raw(Bytes(484));
  }
  void entry(std::uint64_t sector, std::uint64_t sectors, std::uint64_t flags) {
    out_.u64(sector).u64(sectors).u64(flags).u64(0).raw(Bytes(480));
  }
  void data(std::uint64_t sectors) { out_.raw(Bytes(sectors * 512, std::byte{0xda})); }

  Result<std::vector<Epoch>> read() {
    const Bytes bytes = out_.take();
    STAMPEDE_TRY(const File file, File::open(folder_ / "log", O_RDWR | O_CREAT | O_TRUNC));
    STAMPEDE_CHECK(file.write_at({}, bytes));
    return read_write_log(file);
  }
  std::string error() {
    auto epochs = read();
    return epochs ? "" : epochs.error().message;
  }

  Scratch folder_;
  ByteWriter out_;
};

TEST_F(WriteLog, IsCutAtFlushes) {
  super(7);
  entry(0, 0, 1);  // a flush before anything: no epoch
  entry(8, 2, 0);
  data(2);
  entry(100, 50, 4);  // a discard has no data
  entry(0, 0, 1);
  entry(0, 0, 1);
  entry(1, 1, 2);  // FUA
  data(1);
  entry(4, 1, 1);  // a flush, and then the write
  data(1);
  const auto epochs = read();
  ASSERT_TRUE(epochs) << epochs.error().message;
  ASSERT_THAT(*epochs, SizeIs(3));
  ASSERT_THAT((*epochs)[0], SizeIs(2));
  EXPECT_EQ((*epochs)[0][0].at.bytes, 8U * 512);
  EXPECT_EQ((*epochs)[0][0].length.bytes, 2U * 512);
  EXPECT_EQ((*epochs)[0][0].data.bytes, 3U * 512);
  EXPECT_FALSE((*epochs)[0][0].zeros);
  EXPECT_TRUE((*epochs)[0][1].zeros);
  EXPECT_EQ((*epochs)[0][1].length.bytes, 50U * 512);
  EXPECT_EQ((*epochs)[1][0].data.bytes, 9U * 512);
  EXPECT_EQ((*epochs)[2][0].at.bytes, 4U * 512);
}

TEST_F(WriteLog, OneThatWasCutIsRefused) {
  super(2);
  entry(8, 2, 0);
  data(2);
  EXPECT_THAT(error(), HasSubstr("ends before its entry"));
  super(1);
  entry(8, 3, 0);
  data(2);
  EXPECT_THAT(error(), HasSubstr("ends within the data of entry 0"));
}

TEST_F(WriteLog, SomethingElseIsRefused) {
  EXPECT_THAT(error(), HasSubstr("ends before"));
  super(0, 2);
  EXPECT_THAT(error(), HasSubstr("version 1"));
  out_.raw(Bytes(512));
  EXPECT_THAT(error(), HasSubstr("no log of writes"));
  super(1);
  entry(~0ULL, ~0ULL, 0);
  EXPECT_THAT(error(), HasSubstr("sectors"));
}

}  // namespace
}  // namespace stampede::powerloss
