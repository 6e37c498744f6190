#include "src/deploy/memory_left.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/scratch.h"

namespace stampede::deploy {
namespace {

class MemoryLeft : public ::testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) {
    const auto path = scratch_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void group(const std::string& inside, const std::string& most, const std::string& used, const std::string& cache) {
    const std::string folder = "sys/fs/cgroup/" + inside + "/";
    write(folder + "memory.max", most + "\n");
    write(folder + "memory.current", used + "\n");
    write(folder + "memory.stat", "anon 1000\ninactive_anon 7\nactive_file 9\ninactive_file " + cache + "\n");
  }
  std::optional<Size> left() const { return memory_left(scratch_.path()); }

  Scratch scratch_;
};

TEST_F(MemoryLeft, NothingIsKnownWhereNobodySays) { EXPECT_EQ(left(), std::nullopt); }

TEST_F(MemoryLeft, WhatTheMachineHas) {
  write("proc/meminfo", "MemTotal:       24689412 kB\nMemFree:          100 kB\nMemAvailable:       2048 kB\n");
  EXPECT_EQ(left(), 2_MiB);
}

TEST_F(MemoryLeft, TheNarrowestGroupCounts) {
  write("proc/meminfo", "MemAvailable: 1048576 kB\n");
  write("proc/self/cgroup", "4:memory:/old\n0::/pod/container\n");
  group("pod", "104857600", "52428800", "0");
  EXPECT_EQ(left(), 50_MiB);
  group("pod/container", "10485760", "8388608", "1048576");
  EXPECT_EQ(left(), 3_MiB);
  group("pod/container", "max", "8388608", "1048576");
  EXPECT_EQ(left(), 50_MiB);
}

TEST_F(MemoryLeft, WhatIsOverItsLimitHasNothingLeft) {
  write("proc/self/cgroup", "0::/a\n");
  group("a", "1000", "5000", "6");
  EXPECT_EQ(left(), Size{});
}

TEST_F(MemoryLeft, NonsenseIsNoLimit) {
  write("proc/meminfo", "MemAvailable: much\n");
  write("proc/self/cgroup", "0::/a");
  group("a", "-1", "", "x");
  EXPECT_EQ(left(), std::nullopt);
}

}  // namespace
}  // namespace stampede::deploy
