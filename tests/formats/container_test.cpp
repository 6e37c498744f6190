#include <gtest/gtest.h>

#include "src/base/seams.h"
#include "src/formats/raw_disk.h"
#include "tests/volume/images.h"

namespace stampede::formats {
namespace {

using volume::run;

// What qemu-img makes of a disk: the file's name's end and the options.
struct Made {
  std::string format, options;
};

class Containers : public ::testing::TestWithParam<Made> {
 protected:
  // Data here and there, text and noise, also at the very end.
  void SetUp() override {
    disk_.resize(9 << 20);
    for (const std::size_t at : {0U, 3U << 20, (8U << 20) + 700'000}) random_.fill(MutableBytes(disk_).subspan(at, 300'000));
    std::ranges::fill(MutableBytes(disk_).subspan(5 << 20, 400'000), std::byte{'x'});
    ASSERT_TRUE(replace_file(folder_ / "disk", disk_));
    const auto& [format, options] = GetParam();
    file_ = folder_ / ("file." + format);
    const auto made = run("cd " + folder_.path().string() + " && qemu-img convert -f raw -O " + format + " " + options +
                          " disk " + file_.string());
    ASSERT_EQ(made.code, 0) << made.output << " (run tools/setup)";
    unpacking_.folder = folder_.path();
  }
  Result<Bytes> disk() {
    STAMPEDE_TRY(const auto raw, open_raw_disk(file_, unpacking_));
    return read_file(raw.path, 100_MiB);
  }

  volume::Scratch folder_;
  SeededRandom random_{3};
  Bytes disk_;
  std::filesystem::path file_;
  UnpackOptions unpacking_;
};

TEST_P(Containers, BecomeTheDisk) {
  auto got = disk();
  ASSERT_TRUE(got) << got.error().message;
  got->resize(disk_.size());  // vmdk and vdi round up
  EXPECT_EQ(*got, disk_);
}

// Wherever the file ends: nobody gets another disk than the one that was put in.
TEST_P(Containers, CutShortAreRefused) {
  unsigned refused = 0;
  const std::uint64_t whole = std::filesystem::file_size(file_);
  for (const std::uint64_t left :
       {whole - 1, whole - 513, whole - 40'000, whole * 3 / 4, whole / 2, whole / 4, whole / 16}) {
    std::filesystem::resize_file(file_, left);
    auto got = disk();
    refused += got ? 0 : 1;
    if (!got) {
      EXPECT_EQ(got.error().code, Code::usage) << got.error().message;
      continue;
    }
    got->resize(disk_.size());
    ASSERT_EQ(*got, disk_) << left << " bytes of file";
  }
  EXPECT_GE(refused, 3U);
}

INSTANTIATE_TEST_SUITE_P(Formats, Containers,
                         ::testing::Values(Made{"qcow2", ""}, Made{"qcow2", "-c"}, Made{"qcow2", "-o cluster_size=512"},
                                           Made{"qcow2", "-o compat=0.10"}, Made{"vmdk", ""},
                                           Made{"vmdk", "-o subformat=streamOptimized"}, Made{"vhdx", ""}, Made{"vdi", ""}));

}  // namespace
}  // namespace stampede::formats
