#include "src/unpack/stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "src/base/seams.h"
#include "tests/volume/images.h"

namespace stampede::unpack {
namespace {

using volume::have;
using volume::run;

struct Tool {
  Packing packing;
  std::string command, ending;
};
const Tool kTools[] = {{Packing::gzip, "gzip", ".gz"}, {Packing::xz, "xz -1", ".xz"}, {Packing::zstd, "zstd -q", ".zst"}};

Result<Bytes> all_of(const std::filesystem::path& path, Packing packing) {
  STAMPEDE_TRY(const File file, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const auto stream, open_stream(file, packing));
  Bytes all, part(100'003);
  while (true) {
    STAMPEDE_TRY(const std::size_t got, stream->read(part));
    all.insert(all.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(got));
    if (got < part.size()) return all;
  }
}

class StreamTest : public ::testing::TestWithParam<Tool> {
 protected:
  void SetUp() override {
    SeededRandom random(3);
    content_.resize(1'500'000);
    random.fill(MutableBytes(content_).first(300'000));
    ASSERT_TRUE(replace_file(plain_, content_));
    ASSERT_TRUE(have(GetParam().ending == ".zst" ? "zstd" : GetParam().command.substr(0, 4))) << "run tools/setup";
    ASSERT_EQ(run(GetParam().command + " -k " + plain_.string()).code, 0);
    packed_ = *read_file(file_, 10_MiB);
  }
  Result<Bytes> unpack(ByteView packed) {
    EXPECT_TRUE(replace_file(file_, packed));
    return all_of(file_, GetParam().packing);
  }

  Scratch folder_;
  Bytes content_, packed_;
  std::filesystem::path plain_ = folder_ / "plain", file_ = plain_.string() + GetParam().ending;
};

TEST_P(StreamTest, Unpacks) {
  const auto got = unpack(packed_);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(*got, content_);
}

TEST_P(StreamTest, OneAfterTheOther) {
  Bytes twice = packed_;
  twice.insert(twice.end(), packed_.begin(), packed_.end());
  const auto got = unpack(twice);
  ASSERT_TRUE(got) << got.error().message;
  ASSERT_EQ(got->size(), 2 * content_.size());
  EXPECT_TRUE(std::equal(content_.begin(), content_.end(), got->begin() + static_cast<std::ptrdiff_t>(content_.size())));
}

TEST_P(StreamTest, EndsTooEarly) {
  for (const std::size_t left :
       {packed_.size() - 1, packed_.size() - 5, packed_.size() / 2, std::size_t{20}, std::size_t{3}}) {
    const auto got = unpack(ByteView(packed_).first(left));
    ASSERT_FALSE(got) << left << " of " << packed_.size() << ": " << got->size();
    EXPECT_EQ(got.error().code, Code::usage);
  }
}

TEST_P(StreamTest, SomethingElseBehindIt) {
  for (const std::string_view more : {"x", "garbage that follows", "\x1f\x8b"}) {
    Bytes longer = packed_;
    const auto bytes = as_bytes(more);
    longer.insert(longer.end(), bytes.begin(), bytes.end());
    const auto got = unpack(longer);
    ASSERT_FALSE(got) << more;
    EXPECT_EQ(got.error().code, Code::usage);
  }
}

TEST_P(StreamTest, SomethingElse) {
  for (const Tool& tool : kTools) {
    if (tool.packing == GetParam().packing) continue;
    const auto got = all_of(file_, tool.packing);
    ASSERT_FALSE(got) << tool.command;
    EXPECT_EQ(got.error().code, Code::usage);
    EXPECT_NE(got.error().message.find(file_.string()), std::string::npos);
  }
  EXPECT_FALSE(unpack(as_bytes("no")));
  EXPECT_FALSE(unpack(content_));
}

// What is packed is taken as it is, whatever it looks like.
TEST_P(StreamTest, UnpacksOnce) {
  ASSERT_EQ(run("cp " + file_.string() + " " + folder_.path().string() + "/inner; rm -f " + plain_.string() + "*; cd " +
                folder_.path().string() + "; " + GetParam().command + " -c inner >" + file_.string())
                .code,
            0);
  EXPECT_EQ(*all_of(file_, GetParam().packing), packed_);
}

INSTANTIATE_TEST_SUITE_P(Packings, StreamTest, ::testing::ValuesIn(kTools));

TEST(Streams, EmptyFiles) {
  Scratch folder;
  ASSERT_TRUE(replace_file(folder / "f", {}));
  EXPECT_EQ(all_of(folder / "f", Packing::none)->size(), 0U);
  for (const Tool& tool : kTools) {
    EXPECT_EQ(all_of(folder / "f", tool.packing).error().code, Code::usage);
    ASSERT_EQ(run(tool.command + " -k " + (folder / "f").string()).code, 0);
    EXPECT_EQ(all_of((folder / "f").string() + tool.ending, tool.packing).error().code, Code::usage) << "no disk is in it";
  }
}

TEST(Streams, PipesThatAreSlow) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const File from(ends[0], "pipe");
  std::jthread writer([to = File(ends[1], "pipe")] {
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      EXPECT_EQ(::write(to.fd(), "abc", 3), 3);
    }
  });
  const auto stream = open_stream(from, Packing::none);
  Bytes out(9);
  ASSERT_TRUE(read_all(**stream, out));
  EXPECT_EQ(as_text(out), "abcabcabc");
  EXPECT_EQ(read_all(**stream, out).error().code, Code::usage);
}

TEST(Streams, WaitingIsInterrupted) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const File from(ends[0], "pipe"), to(ends[1], "pipe");
  int asked = 0;
  const auto stream = open_stream(from, Packing::none, [&] { return ++asked > 2; });
  Bytes out(9);
  EXPECT_EQ((*stream)->read(out).error().code, Code::interrupted);
}

// A frame may ask for a window of 2 GiB.
TEST(Streams, MemoryIsBounded) {
  Scratch folder;
  ASSERT_EQ(run("cd " + folder.path().string() + "; head -c 200M /dev/zero | zstd -q --long=31 -c >f").code, 0);
  const auto got = all_of(folder / "f", Packing::zstd);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::usage);
  EXPECT_NE(got.error().message.find("memory"), std::string::npos) << got.error().message;
}

TEST(Streams, UnpackAnyStopsWhenTold) {
  Scratch folder;
  ASSERT_EQ(run("cd " + folder.path().string() + "; head -c 20M /dev/zero | gzip -c >f").code, 0);
  const Bytes packed = *read_file(folder / "f", 1_MiB);
  std::size_t parts = 0;
  ASSERT_TRUE(unpack_any(packed, [&](ByteView) { return ++parts < 3; }));
  EXPECT_EQ(parts, 3U);
  EXPECT_EQ(unpack_any(ByteView(packed).first(packed.size() / 2), [](ByteView) { return true; }).error().code,
            Code::read_failed);
}

TEST(Streams, UnpackAnyRepeatsTheEndOfAPart) {
  Scratch folder;
  ASSERT_EQ(run("cd " + folder.path().string() + "; seq 1 400000 >plain; zstd -q -c plain >f").code, 0);
  const Bytes packed = *read_file(folder / "f", 16_MiB), plain = *read_file(folder / "plain", 16_MiB);
  Bytes joined, last;
  std::size_t parts = 0;
  ASSERT_TRUE(unpack_any(
      packed,
      [&](ByteView part) {
        const std::size_t repeated = std::min<std::size_t>(5, last.size());
        EXPECT_TRUE(std::ranges::equal(part.first(repeated), ByteView(last).last(repeated)));
        joined.insert(joined.end(), part.begin() + static_cast<std::ptrdiff_t>(repeated), part.end());
        last = copy(part);
        ++parts;
        return true;
      },
      5));
  EXPECT_GT(parts, 1U);
  EXPECT_EQ(joined, plain);
}

}  // namespace
}  // namespace stampede::unpack
