// The power goes at any moment of a deployment: the disk is the old one, or nobody finds a table on it, or it is complete;
// and as soon as it is not the old one any more and until it is complete, the guard knows it as an interrupted deployment.
#include <gtest/gtest.h>

#include <algorithm>

#include "src/disk/commit_steps.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"
#include "tests/disk/table_model.h"

namespace stampede::disk {
namespace {

constexpr std::byte kOld{0x0d}, kNew{0x4e};

struct Snapshot {
  std::string moment;
  Bytes disk;
};

struct Scenario {
  std::string name;
  Size disk = 2_MiB;
  Size image = 2_MiB;
  std::uint32_t sector = 512;
  enum class Old { blank, gpt, mbr } old = Old::gpt;
};
std::ostream& operator<<(std::ostream& out, const Scenario& scenario) { return out << scenario.name; }

// Two partitions over all that a GPT leaves free, so that no byte may be wrong unseen.
Table full_table(std::byte id, Size size, std::uint32_t sector) {
  const std::uint64_t reserved = sector + 128 * 128;
  const std::uint64_t from = sector + reserved, to = size.bytes - reserved;
  return {id, {{{from}, {524'288}}, {{from + 524'288}, {to - from - 524'288}}}};
}

class Crash : public ::testing::TestWithParam<Scenario> {
 protected:
  void SetUp() override {
    const Scenario& s = GetParam();
    SeededRandom random(11);
    old_.resize(s.disk.bytes);
    if (s.old != Scenario::Old::blank) random.fill(old_);
    if (s.old == Scenario::Old::gpt) write_gpt(old_, s.disk, s.sector, full_table(kOld, s.disk, s.sector));
    if (s.old == Scenario::Old::mbr) write_mbr(old_, {kOld, {{{512}, {s.disk.bytes - 512}}}});
    image_.bytes = random_bytes(random, s.image.bytes);
    write_gpt(image_.bytes, s.image, s.sector, full_table(kNew, s.image, s.sector));
    for (std::uint64_t at = 0; at < s.image.bytes; at += 65536)
      image_.pieces.push_back({{at}, 64_KiB, chunker::ExtentKind::data, {}});
    run_through();
  }

  void run_through() {
    const Scenario& s = GetParam();
    const Scratch folder;
    const auto path = folder.path() / "disk";
    put(path, old_);
    snapshots_.push_back({"old", old_});
    GuardedDisk guarded = guarded_file(path, s.disk);
    guarded.identity.sector_size = s.sector;
    TargetOptions options;
    options.slabs = 2;
    options.after_step = [&](std::string_view stage, std::string_view step) {
      snapshots_.push_back({fmt::format("{}: {}", stage, step), content_of(path)});
    };
    auto target = Target::open(std::move(guarded), s.image, options);
    ASSERT_TRUE(target);
    ASSERT_TRUE((*target)->begin(sample_record(s.disk)));
    ASSERT_TRUE(transfer(**target, image_));
    ASSERT_TRUE((*target)->flush());
    snapshots_.push_back({"data", content_of(path)});
    ASSERT_TRUE((*target)->commit());
  }

  // Is what this table says the disk holds really there?
  void check_table(const std::string& reader, const Table& table, ByteView disk) {
    const Bytes& whole = table.id == kOld ? old_ : image_.bytes;
    ASSERT_TRUE(table.id == kOld || table.id == kNew);
    ASSERT_FALSE(table.partitions.empty());
    for (const Range& range : table.partitions)
      EXPECT_EQ(std::memcmp(disk.data() + range.at.bytes, whole.data() + range.at.bytes, range.length.bytes), 0)
          << reader << " finds the " << (table.id == kOld ? "old" : "new") << " table on a disk that is not whole";
  }

  void check_state(ByteView disk) {
    const Seen seen = read_tables(disk, GetParam().sector);
    if (seen.kernel) check_table("the kernel", *seen.kernel, disk);
    if (seen.ovmf) check_table("OVMF", *seen.ovmf, disk);
    if (seen.sgdisk) check_table("sgdisk", *seen.sgdisk, disk);
    const bool first_old = std::ranges::equal(disk.first(512), ByteView(old_).first(512));
    const bool first_new = std::ranges::equal(disk.first(512), ByteView(image_.bytes).first(512));
    const bool ours = find_in_progress(disk.first(8192)) == sample_record(GetParam().disk);
    const bool untouched = first_old && GetParam().old != Scenario::Old::blank;
    EXPECT_TRUE(ours || untouched || first_new || all_zero(disk)) << "a second run would not know this disk";
    EXPECT_FALSE(ours && (first_new || untouched));
  }

  void every_steps_end_is_safe();
  void every_step_torn_is_safe();
  void real_sgdisk_finds_no_more();

  Bytes old_;
  SampleImage image_;
  std::vector<Snapshot> snapshots_;
};

void Crash::every_steps_end_is_safe() {
  const std::size_t begin = GetParam().old == Scenario::Old::blank ? 1 : 3;
  ASSERT_EQ(snapshots_.size(), 1 + begin + 1 + 3);
  for (const Snapshot& snapshot : snapshots_) {
    SCOPED_TRACE(snapshot.moment);
    check_state(snapshot.disk);
  }
  EXPECT_TRUE(read_tables(snapshots_.back().disk, GetParam().sector).kernel);
  EXPECT_TRUE(std::ranges::equal(ByteView(snapshots_.back().disk).first(image_.bytes.size()), image_.bytes));
}

// Within a step any of its sectors may have come first.
void Crash::every_step_torn_is_safe() {
  SeededRandom random(29);
  const std::uint64_t sector = GetParam().sector;
  for (std::size_t i = 1; i < snapshots_.size(); ++i) {
    SCOPED_TRACE("on the way to " + snapshots_[i].moment);
    const Bytes& from = snapshots_[i - 1].disk;
    const Bytes& to = snapshots_[i].disk;
    std::vector<std::uint64_t> changed;
    for (std::uint64_t at = 0; at < from.size(); at += sector)
      if (std::memcmp(from.data() + at, to.data() + at, sector) != 0) changed.push_back(at);
    const int tries = changed.size() < 2 ? 0 : 8;
    for (int t = 0; t < tries; ++t) {
      Bytes torn = from;
      const std::uint64_t share = random.below(16) + 1;  // from nearly nothing to nearly all
      for (const std::uint64_t at : changed)
        if (random.below(17) < share)
          std::copy_n(to.begin() + static_cast<long>(at), sector, torn.begin() + static_cast<long>(at));
      check_state(torn);
      // Each changed sector that a table could stand in, as the only one and as the only one missing.
      for (const std::uint64_t at : changed) {
        if (at > 2 * sector && at + sector < from.size()) continue;
        for (const auto& [base, other] : {std::pair{&from, &to}, std::pair{&to, &from}}) {
          if (t > 0) break;
          Bytes one = *base;
          std::copy_n(other->begin() + static_cast<long>(at), sector, one.begin() + static_cast<long>(at));
          check_state(one);
        }
      }
    }
  }
}

// The real sgdisk finds no table where the model has none; it may be stricter (it wants to be asked before it takes a backup
// without a boot sector).
void Crash::real_sgdisk_finds_no_more() {
  if (run("sgdisk --version").code != 0) GTEST_SKIP() << "no sgdisk here";
  if (GetParam().sector != 512) return;  // it reads a file as a disk of 512-byte sectors
  const Scratch folder;
  const auto path = folder.path() / "disk";
  const auto table_of = [](const std::string& printed) {
    const std::size_t header = printed.find("Number  Start");
    return header == printed.npos ? "" : printed.substr(header);
  };
  for (const Snapshot& snapshot : snapshots_) {
    SCOPED_TRACE(snapshot.moment);
    put(path, snapshot.disk);
    const std::string printed = run("sgdisk --print " + path.string()).output;
    const std::string listed = table_of(printed);
    const auto lines = static_cast<std::size_t>(std::ranges::count(listed, '\n'));
    const auto table = read_tables(snapshot.disk, 512).sgdisk;
    if (snapshot.moment == snapshots_.back().moment) EXPECT_EQ(lines, 2U) << printed;
    if (lines == 0) continue;
    ASSERT_TRUE(table) << printed;
    EXPECT_EQ(lines, table->partitions.size()) << printed;
    if (lines < 2) continue;  // an MBR has no GUID
    EXPECT_NE(printed.find(table->id == kOld ? "0D0D0D0D-0D0D" : "4E4E4E4E-4E4E"), std::string::npos) << printed;
  }
}

TEST_P(Crash, IsSafeAtAnyMoment) {
  every_steps_end_is_safe();
  every_step_torn_is_safe();
  real_sgdisk_finds_no_more();
}

INSTANTIATE_TEST_SUITE_P(Disks, Crash,
                         ::testing::Values(Scenario{.name = "gpt_same_size"},
                                           Scenario{.name = "gpt_larger_disk", .image = 1600_KiB},
                                           Scenario{.name = "mbr", .old = Scenario::Old::mbr},
                                           Scenario{.name = "mbr_larger_disk", .image = 1600_KiB, .old = Scenario::Old::mbr},
                                           Scenario{.name = "blank", .old = Scenario::Old::blank},
                                           Scenario{.name = "gpt_4096", .sector = 4096},
                                           Scenario{.name = "gpt_4096_larger_disk", .image = 1600_KiB, .sector = 4096}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace stampede::disk
