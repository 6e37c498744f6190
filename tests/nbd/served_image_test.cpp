#include "src/nbd/served_image.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "src/base/seams.h"
#include "tests/volume/images.h"

namespace stampede::nbd {
namespace {

using volume::run;

class ServedImageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(volume::have("qemu-img") && volume::have("qemu-nbd")) << "run tools/setup";
    content_.resize(1'000'000);
    SeededRandom(5).fill(content_);
    const std::string folder = folder_.path().string();
    ASSERT_TRUE(replace_file(folder_ / "raw", content_));
    ASSERT_EQ(run("cd " + folder +
                  " && truncate -s 512M raw && qemu-img convert -O qcow2 raw image && chmod 600 image && "
                  "truncate -s 0 raw")
                  .code,
              0);
    file_ = *File::open(folder_ / "image", O_RDONLY);
  }
  Result<std::unique_ptr<ServedImage>> serve(std::string_view driver = "qcow2", volume::Confinement limits = {}) {
    return ServedImage::serve(file_, driver, FileEnd::hidden, limits);
  }
  // The process that is called so, among the descendants of the one that was started.
  static std::string converter(pid_t from) {
    for (std::string pid = std::to_string(from); !pid.empty();) {
      std::string name;
      std::getline(std::ifstream("/proc/" + pid + "/comm"), name);
      if (name == "qemu-nbd") return "/proc/" + pid;
      std::string child;
      std::ifstream("/proc/" + pid + "/task/" + pid + "/children") >> child;
      pid = child;
    }
    return {};
  }
  static std::string status(const std::string& process, std::string_view field) {
    std::ifstream in(process + "/status");
    for (std::string line; std::getline(in, line);)
      if (line.starts_with(field)) return line.substr(line.find('\t') + 1);
    return "?";
  }
  static std::string name_space(const std::string& process, const std::string& kind) {
    return std::filesystem::read_symlink(process + "/ns/" + kind).string();
  }

  volume::Scratch folder_;
  Bytes content_;
  File file_;
};

TEST_F(ServedImageTest, ItsDiskIsReadAndItsHolesAreNot) {
  const auto image = serve();
  ASSERT_TRUE(image) << image.error().message;
  Connection& disk = (*image)->disk();
  ASSERT_EQ(disk.size(), 512_MiB);
  std::uint64_t data = 0;
  for (Offset at; at.bytes < disk.size().bytes;) {
    const auto extents = disk.status(at, 256_MiB);
    ASSERT_TRUE(extents) << extents.error().message;
    for (const auto& extent : *extents) {
      data += extent.zero ? 0 : extent.length.bytes;
      at += extent.length;
    }
  }
  EXPECT_LE(data, 1U << 20);
  Bytes got(content_.size());
  ASSERT_EQ(disk.read(0, got), static_cast<ssize_t>(got.size()));
  EXPECT_EQ(got, content_);
  EXPECT_LE((*image)->read_so_far().bytes, 2U << 20);
}

TEST_F(ServedImageTest, TheConverterHasNoPrivilegeAndNoNetwork) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give up being root";
  const auto image = serve();
  ASSERT_TRUE(image) << image.error().message;
  const std::string process = converter((*image)->pid());
  ASSERT_FALSE(process.empty());
  EXPECT_EQ(status(process, "Uid:"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(status(process, "Gid:"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(status(process, "Groups:").find_first_not_of(" \n"), std::string::npos);
  for (const char* const set : {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"})
    EXPECT_EQ(status(process, set), "0000000000000000") << set;
  EXPECT_EQ(status(process, "NoNewPrivs:"), "1");
  for (const char* const kind : {"net", "ipc", "uts", "mnt", "pid"})
    EXPECT_NE(name_space(process, kind), name_space("/proc/self", kind)) << kind;
  std::ifstream routes(process + "/net/dev");
  std::string devices((std::istreambuf_iterator<char>(routes)), {});
  EXPECT_EQ(std::count(devices.begin(), devices.end(), ':'), 1) << devices;  // lo, which is down
  // The file itself is not among what it has open.
  for (const auto& entry : std::filesystem::directory_iterator(process + "/fd"))
    EXPECT_EQ(std::filesystem::read_symlink(entry).string().find("/image"), std::string::npos);
}

TEST_F(ServedImageTest, NothingIsLeftOfIt) {
  auto image = serve();
  ASSERT_TRUE(image) << image.error().message;
  const std::string process = converter((*image)->pid());
  ASSERT_FALSE(process.empty());
  image->reset();
  for (int i = 0; i < 500 && std::filesystem::exists(process); ++i) ::usleep(10'000);
  EXPECT_FALSE(std::filesystem::exists(process));
}

TEST_F(ServedImageTest, AnotherFormatIsAnError) {
  for (const char* const driver : {"vmdk", "vhdx", "vdi"}) {
    const auto image = serve(driver);
    ASSERT_FALSE(image) << driver;
    EXPECT_EQ(image.error().code, Code::usage);
    EXPECT_NE(image.error().message.find((folder_ / "image").string()), std::string::npos) << image.error().message;
  }
}

TEST_F(ServedImageTest, WhatIsCutShortIsNoticed) {
  ASSERT_EQ(run("truncate -s 600K " + (folder_ / "image").string()).code, 0);
  const auto image = serve();
  ASSERT_TRUE(image) << image.error().message;
  Bytes got(content_.size());
  EXPECT_LT((*image)->disk().read(0, got), 0);
  EXPECT_TRUE((*image)->past_end());
}

TEST_F(ServedImageTest, TablesThatAreCutOffAreSaidToBe) {
  ASSERT_EQ(run("truncate -s 100K " + (folder_ / "image").string()).code, 0);
  const auto image = serve();
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, Code::usage);
  EXPECT_NE(image.error().message.find("cut short"), std::string::npos) << image.error().message;
}

TEST_F(ServedImageTest, MemoryAndTimeAreLimited) {
  const auto image = serve("qcow2", {.memory = 512_MiB, .processor = std::chrono::seconds(77)});
  ASSERT_TRUE(image) << image.error().message;
  const std::string process = converter((*image)->pid());
  ASSERT_FALSE(process.empty());
  std::ifstream in(process + "/limits");
  std::map<std::string, std::string> limits;
  for (std::string line; std::getline(in, line);) {
    std::istringstream numbers(line.substr(26));
    std::string soft, hard;
    numbers >> soft >> hard;
    limits[line.substr(0, line.find("  "))] = soft + " " + hard;
  }
  EXPECT_EQ(limits["Max address space"], "536870912 536870912");
  EXPECT_EQ(limits["Max cpu time"], "77 77");
  EXPECT_EQ(limits["Max core file size"], "0 0");
}

TEST_F(ServedImageTest, WhoGoesAwayIsNoticed) {
  const auto image = serve();
  ASSERT_TRUE(image) << image.error().message;
  const std::string process = converter((*image)->pid());
  ASSERT_FALSE(process.empty());
  ASSERT_EQ(::kill(std::stoi(process.substr(6)), SIGKILL), 0);
  Bytes got(4096);
  EXPECT_LT((*image)->disk().read(0, got), 0);
  const std::string said = (*image)->last_words();
  EXPECT_NE(said.find("killed"), std::string::npos) << said;
}

}  // namespace
}  // namespace stampede::nbd
