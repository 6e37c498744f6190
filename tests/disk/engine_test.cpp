// Both engines, and the choice between them.
#include "src/disk/engine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <thread>

#include "src/base/aligned.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

class Engines : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    put(folder_.path() / "disk", Bytes(64UL * 1024));
    file_ = *File::open(folder_.path() / "disk", O_RDWR);
    auto engine = open_engine({file_.fd(), "disk", 4, GetParam()});
    if (!engine && GetParam() == EngineKind::uring) GTEST_SKIP() << engine.error().message;
    ASSERT_TRUE(engine);
    engine_ = std::move(*engine);
  }
  int move(bool write, std::uint64_t at, MutableBytes bytes, int buffer = -1) {
    int tag = 0;
    engine_->start({write, at, bytes, buffer, &tag});
    std::vector<Completion> done;
    while (done.empty()) engine_->wait(true, done);
    EXPECT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].tag, &tag);
    return done[0].result;
  }
  const Scratch folder_;
  File file_;
  std::unique_ptr<Engine> engine_;
};

TEST_P(Engines, WritesAndReads) {
  const AlignedMemory memory(64UL * 1024);
  const std::array<MutableBytes, 1> buffers{memory.bytes()};
  engine_->register_buffers(buffers);
  for (const int buffer : {-1, 0}) {
    const MutableBytes out = memory.bytes().first(8192);
    const MutableBytes in = memory.bytes().subspan(16384, 8192);
    std::ranges::fill(out, static_cast<std::byte>(buffer + 7));
    EXPECT_EQ(move(true, 4096, out, buffer), 8192);
    EXPECT_EQ(move(false, 4096, in, buffer), 8192);
    EXPECT_TRUE(std::ranges::equal(in, out));
  }
}

TEST_P(Engines, EachBufferIsMadeKnownWhenItIsUsed) {
  constexpr std::size_t kPart = 16UL << 10;
  const AlignedMemory memory(4 * kPart);
  std::vector<MutableBytes> buffers;
  for (std::size_t i = 0; i < 4; ++i) buffers.push_back(memory.bytes().subspan(i * kPart, kPart));
  engine_->register_buffers(buffers);
  for (const auto& [from, to] : {std::pair(3, 1), std::pair(1, 0), std::pair(2, 3)}) {
    const MutableBytes out = buffers[static_cast<std::size_t>(from)], in = buffers[static_cast<std::size_t>(to)];
    std::ranges::fill(out, static_cast<std::byte>(from + 40));
    EXPECT_EQ(move(true, 4096, out.first(8192), from), 8192);
    EXPECT_EQ(move(false, 4096, in.last(8192), to), 8192);
    EXPECT_TRUE(std::ranges::equal(in.last(8192), out.first(8192)));
  }
  // What does not lie in the buffer that is named the kernel refuses: it is known, then, and by itself.
  const int strayed = move(false, 4096, buffers[0].last(8192), 2);
  EXPECT_EQ(strayed, engine_->name() == "io_uring" ? -EFAULT : 8192);
}

TEST_P(Engines, AReadThatMeetsTheEndIsShort) {
  Bytes in(8192);
  EXPECT_EQ(move(false, 60UL * 1024, in), 4096);
  EXPECT_EQ(move(false, 64UL * 1024, in), 0);
}

TEST_P(Engines, AFailureIsItsErrno) {
  file_ = *File::open("/dev/full", O_RDWR);
  auto engine = open_engine({file_.fd(), "full", 4, GetParam()});
  ASSERT_TRUE(engine);
  engine_ = std::move(*engine);
  Bytes out(4096);
  EXPECT_EQ(move(true, 0, out), -ENOSPC);
}

TEST_P(Engines, ManyAtOnceAllComplete) {
  std::array<Bytes, 4> parts{Bytes(4096), Bytes(4096), Bytes(4096), Bytes(4096)};
  std::vector<Completion> done;
  std::size_t started = 0;
  for (; started < 4; ++started) engine_->start({true, started * 4096, parts[started], -1, &parts[started]});
  while (done.size() < 400) {
    const std::size_t before = done.size();
    engine_->wait(true, done);
    for (std::size_t i = before; i < done.size() && started < 400; ++i, ++started) {
      EXPECT_EQ(done[i].result, 4096);
      engine_->start({true, (started % 16) * 4096, *static_cast<Bytes*>(done[i].tag), -1, done[i].tag});
    }
  }
  EXPECT_EQ(done.size(), 400U);
}

TEST_P(Engines, AWakeEndsTheWaiting) {
  std::vector<Completion> done;
  engine_->wake();
  engine_->wait(true, done);  // one that came before
  std::thread other([this] { engine_->wake(); });
  engine_->wait(true, done);
  other.join();
  EXPECT_TRUE(done.empty());
  engine_->wait(false, done);
}

INSTANTIATE_TEST_SUITE_P(Both, Engines, ::testing::Values(EngineKind::uring, EngineKind::calls),
                         [](const auto& info) { return info.param == EngineKind::uring ? "uring" : "calls"; });

TEST(Engine, TheEnvironmentChooses) {
  const char* const before = std::getenv("STAMPEDE_DISK_IO");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("STAMPEDE_DISK_IO", "calls", 1);
  const auto calls = open_engine({0, "disk"});
  ::setenv("STAMPEDE_DISK_IO", "threads", 1);
  const auto wrong = open_engine({0, "disk"});
  if (before == nullptr)
    ::unsetenv("STAMPEDE_DISK_IO");
  else
    ::setenv("STAMPEDE_DISK_IO", kept.c_str(), 1);
  ASSERT_TRUE(calls);
  EXPECT_EQ((*calls)->name(), "pwritev2");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::usage);
}

// As the seccomp profiles of container engines do. 0: denied from now on.
int deny_uring() {
  std::array<sock_filter, 4> filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{filter.size(), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 1;
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : 1;
}

TEST(Engine, WithoutIoUringThereAreCalls) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (deny_uring() != 0) ::_exit(77);
    ::unsetenv("STAMPEDE_DISK_IO");
    const auto engine = open_engine({0, "disk"});
    const auto demanded = open_engine({0, "disk", 4, EngineKind::uring});
    const bool right = engine && (*engine)->name() == "pwritev2" && !demanded &&
                       demanded.error().message.find("seccomp") != std::string::npos;
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace stampede::disk
