#include "src/nbd/raw_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <bit>

#include "src/base/seams.h"
#include "tests/scratch.h"

namespace stampede::nbd {
namespace {

class RawServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    content_.resize(100'000);
    SeededRandom(5).fill(content_);
    ASSERT_TRUE(replace_file(folder_ / "f", content_));
    file_ = *File::open(folder_ / "f", O_RDONLY);
    start(FileEnd::told);
  }
  void start(FileEnd end) {
    server_ = *RawServer::start(file_, end);
    client_ = server_->take_client();
  }
  template <class... Numbers>
  void say(Numbers... numbers) {
    ByteWriter out;
    (out.number(std::byteswap(numbers)), ...);
    const Bytes bytes = out.take();
    ASSERT_EQ(::send(client_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  Bytes hear(std::size_t size) {
    Bytes bytes(size);
    const ssize_t got = ::recv(client_.fd(), bytes.data(), size, MSG_WAITALL);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return bytes;
  }
  bool is_over() { return hear(1).empty(); }
  void request(std::uint16_t type, std::uint64_t offset, std::uint32_t length) {
    say(std::uint32_t{0x25609513}, std::uint16_t{0}, type, std::uint64_t{77}, offset, length);
  }
  std::uint32_t error() { return std::byteswap(load_le<std::uint32_t>(ByteView(hear(16)).subspan(4, 4))); }
  // Export name: the shortest way into the transmission.
  void enter(std::uint64_t size = 100'000) {
    ASSERT_EQ(hear(18).size(), 18U);
    say(std::uint32_t{1}, std::uint64_t{0x49484156454f5054}, std::uint32_t{1}, std::uint32_t{0});
    const Bytes answer = hear(8 + 2 + 124);
    ASSERT_EQ(answer.size(), 134U);
    EXPECT_EQ(std::byteswap(load_le<std::uint64_t>(answer)), size);
    EXPECT_EQ(answer[9], std::byte{3}) << "read-only";
  }

  Scratch folder_;
  Bytes content_;
  File file_, client_;
  std::unique_ptr<RawServer> server_;
};

TEST_F(RawServerTest, ReadsAndCounts) {
  enter();
  request(0, 1000, 50'000);
  EXPECT_EQ(error(), 0U);
  EXPECT_EQ(hear(50'000), Bytes(content_.begin() + 1000, content_.begin() + 51'000));
  EXPECT_EQ(server_->read_so_far().bytes, 50'000U);
}

TEST_F(RawServerTest, NothingBeyondTheEnd) {
  enter();
  for (const auto& [offset, length] : {std::pair<std::uint64_t, std::uint32_t>{99'999, 2}, {UINT64_MAX, 1}, {100'001, 0}}) {
    request(0, offset, length);
    EXPECT_EQ(error(), static_cast<std::uint32_t>(EINVAL));
  }
  request(0, 100'000, 0);
  EXPECT_EQ(error(), 0U);
}

TEST_F(RawServerTest, AHiddenEndIsNoticedWhenItIsPassed) {
  start(FileEnd::hidden);
  enter(RawServer::kNoEnd.bytes);
  request(0, 99'840, 512);  // the last sector, of which 160 bytes are there
  EXPECT_EQ(error(), 0U);
  Bytes last(content_.begin() + 99'840, content_.end());
  last.resize(512);
  EXPECT_EQ(hear(512), last);
  EXPECT_FALSE(server_->past_end());
  for (const auto& [offset, length] :
       {std::pair<std::uint64_t, std::uint32_t>{99'840, 513}, {100'352, 1}, {1ULL << 60, 512}}) {
    request(0, offset, length);
    EXPECT_EQ(error(), static_cast<std::uint32_t>(EIO)) << offset;
    EXPECT_TRUE(server_->past_end());
  }
}

TEST_F(RawServerTest, APaddedEndIsNoticedByWhatBeginsBehindIt) {
  start(FileEnd::padded);
  enter(RawServer::kNoEnd.bytes);
  request(0, 99'999, 131'072);
  EXPECT_EQ(error(), 0U);
  Bytes last{content_.back()};
  last.resize(131'072);
  EXPECT_EQ(hear(131'072), last);
  EXPECT_FALSE(server_->past_end());
  request(0, 100'000, 1);
  EXPECT_EQ(error(), static_cast<std::uint32_t>(EIO));
  EXPECT_TRUE(server_->past_end());
}

TEST_F(RawServerTest, NothingIsWritten) {
  enter();
  for (const std::uint16_t type : std::initializer_list<std::uint16_t>{3, 4, 6, 7}) {
    request(type, 0, 0);
    EXPECT_EQ(error(), static_cast<std::uint32_t>(EPERM)) << type;
  }
  request(1, 0, 16);
  say(std::uint64_t{1}, std::uint64_t{2});
  EXPECT_EQ(error(), static_cast<std::uint32_t>(EPERM));
  EXPECT_EQ(*read_file(folder_ / "f", 1_MiB), content_);
}

TEST_F(RawServerTest, TooMuchAtOnceEndsIt) {
  enter();
  request(0, 0, UINT32_MAX);
  EXPECT_TRUE(is_over());
}

TEST_F(RawServerTest, AnOptionThatIsTooLongEndsIt) {
  ASSERT_EQ(hear(18).size(), 18U);
  say(std::uint32_t{1}, std::uint64_t{0x49484156454f5054}, std::uint32_t{7}, std::uint32_t{1U << 30});
  EXPECT_TRUE(is_over());
}

TEST_F(RawServerTest, EndsAlthoughTheClientSaysNothing) {
  ASSERT_EQ(hear(18).size(), 18U);
  server_.reset();
  EXPECT_TRUE(is_over());
}

}  // namespace
}  // namespace stampede::nbd
