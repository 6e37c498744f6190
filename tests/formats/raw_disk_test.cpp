#include "src/formats/raw_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "src/base/seams.h"
#include "tests/volume/images.h"

namespace stampede::formats {
namespace {

using volume::run;

class RawDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SeededRandom random(11);
    disk_.resize(3'000'001);
    random.fill(MutableBytes(disk_).subspan(1'000'000, 100'000));
    ASSERT_TRUE(replace_file(folder_ / "disk.img", disk_));
    options_.folder = folder_.path();
  }
  std::string shell(const std::string& command) {
    const auto ran = run("cd " + folder_.path().string() + " && " + command);
    EXPECT_EQ(ran.code, 0) << ran.output;
    return ran.output;
  }
  Result<Bytes> content(const char* file) {
    STAMPEDE_TRY(const auto disk, open_raw_disk(folder_ / file, options_));
    EXPECT_EQ(disk.name, file);
    return read_file(disk.path, 100_MiB);
  }
  Error refusal(const char* file) {
    const auto got = content(file);
    EXPECT_FALSE(got) << file;
    return got ? Error{} : got.error();
  }

  Scratch folder_;
  Bytes disk_;
  UnpackOptions options_;
};

TEST_F(RawDiskTest, RawIsReadInPlace) {
  const auto disk = open_raw_disk(folder_ / "disk.img", options_);
  ASSERT_TRUE(disk);
  EXPECT_EQ(disk->path, folder_ / "disk.img");
  EXPECT_FALSE(disk->spool);
}

TEST_F(RawDiskTest, PackedIsUnpacked) {
  shell("gzip -k disk.img; xz -1k disk.img; zstd -q disk.img; cp disk.img.zst other");
  for (const char* const name : {"disk.img.gz", "disk.img.xz", "disk.img.zst"}) EXPECT_EQ(*content(name), disk_) << name;
  EXPECT_EQ(refusal("other").code, Code::usage);
  options_.format = *parse_format("raw.zst");
  EXPECT_EQ(*content("other"), disk_);
}

TEST_F(RawDiskTest, WhatLooksLikeAnotherFormatIsNotRaw) {
  shell("printf 'QFI\\373more' >a.img; gzip -k a.img");
  EXPECT_NE(refusal("a.img").message.find("--format qcow2"), std::string::npos);
  EXPECT_EQ(refusal("a.img.gz").code, Code::usage);
  options_.format = Format{};
  EXPECT_EQ(as_text(*content("a.img")), "QFI\xfbmore");
  options_.format = *parse_format("gz");
  EXPECT_EQ(as_text(*content("a.img.gz")), "QFI\xfbmore");
}

TEST_F(RawDiskTest, PipesAreRead) {
  shell("mkfifo pipe; (cat disk.img >pipe) >/dev/null 2>&1 &");
  EXPECT_EQ(*content("pipe"), disk_);
}

TEST_F(RawDiskTest, NoFileNoDiskNoFolder) {
  EXPECT_EQ(refusal("none").code, Code::usage);
  EXPECT_EQ(refusal(".").code, Code::usage);
  EXPECT_EQ(open_raw_disk("/dev/null", options_).error().code, Code::usage);
}

TEST_F(RawDiskTest, BombsAreBoundedAndInterrupted) {
  shell(
      "head -c 40M /dev/zero | zstd -q -c >bomb.zst; head -c 40M /dev/zero | gzip -c >bomb.gz; "
      "head -c 40M /dev/zero | xz -0 -c >bomb.xz");
  options_.limits.max_size = 20_MiB;
  for (const char* const bomb : {"bomb.zst", "bomb.gz", "bomb.xz"}) {
    const Error error = refusal(bomb);
    EXPECT_EQ(error.code, Code::usage);
    EXPECT_NE(error.message.find("--max-size"), std::string::npos) << error.message;
  }
  options_.limits = {};
  options_.interrupted = [asked = 0]() mutable { return ++asked > 10; };
  EXPECT_EQ(refusal("bomb.gz").code, Code::interrupted);
}

TEST_F(RawDiskTest, ProgressIsOfWhatIsPacked) {
  shell("gzip -k disk.img");
  Size last, all;
  options_.progress = [&](Size done, Size total) { std::tie(last, all) = std::pair(done, total); };
  ASSERT_TRUE(content("disk.img.gz"));
  EXPECT_EQ(all.bytes, std::filesystem::file_size(folder_ / "disk.img.gz"));
  EXPECT_GT(last.bytes, 0U);
}

}  // namespace
}  // namespace stampede::formats
