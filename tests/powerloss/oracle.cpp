#include "tests/powerloss/oracle.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <ranges>

#include "src/disk/in_progress.h"

namespace stampede::powerloss {

namespace {

// Everything of the two but the sectors that begin there.
Result<bool> is_same(const File& a, const File& b, Size size, Size sector, const std::vector<Offset>& but = {}) {
  constexpr Size kPiece = 256_KiB;
  Bytes left(kPiece.bytes), right(kPiece.bytes);
  for (Offset at; at.bytes < size.bytes; at += kPiece) {
    const std::size_t length = std::min(kPiece, Size{size.bytes - at.bytes}).bytes;
    const auto one = MutableBytes(left).first(length), other = MutableBytes(right).first(length);
    STAMPEDE_CHECK(a.read_at(at, one));
    STAMPEDE_CHECK(b.read_at(at, other));
    for (const Offset from : but)
      if (at <= from && from < at + Size{length})
        std::ranges::copy(other.subspan((from - at).bytes, sector.bytes),
                          one.begin() + static_cast<long>((from - at).bytes));
    if (!std::ranges::equal(one, other)) return false;
  }
  return true;
}

std::string output_of(const std::string& command) {
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "popen failed";
  std::array<char, 4096> buffer{};
  std::string output;
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), n);
  ::pclose(pipe);
  return output;
}

// Programs may want to be asked before they take a backup alone, so that here not even a damaged header may stand where one
// of them, or firmware, looks for it: the second sector and the last, of either size.
Result<bool> has_header(const File& disk, Size size) {
  for (const std::uint64_t sector : {std::uint64_t{512}, std::uint64_t{4096}})
    for (const std::uint64_t at : {sector, round_down(size.bytes, sector) - sector}) {
      std::array<std::byte, 8> signature{};
      STAMPEDE_CHECK(disk.read_at({at}, signature));
      if (as_text(signature) == "EFI PART") return true;
    }
  return false;
}

}  // namespace

std::vector<std::string> who_finds_a_table(const std::filesystem::path& disk, Size sector) {
  // A shell that has lost one of them must not take that for "finds none".
  constexpr std::string_view kAsk =
      R"sh(for p in sgdisk sfdisk partx blkid losetup; do command -v $p >/dev/null || echo "no $p here"; done
d={0}
[ {1} = 512 ] || {{ d=$(losetup --find --show --read-only --sector-size {1} {0}) || exec echo "no loop device here"; }}
sgdisk --print $d 2>&1 | grep -Eq '^ +[0-9]+ +[0-9]+ ' && echo sgdisk
sfdisk --dump $d >/dev/null 2>&1 && echo sfdisk
[ -z "$(partx --show --noheadings $d 2>/dev/null)" ] || echo partx
blkid -p -o value -s PTTYPE $d >/dev/null 2>&1 && echo blkid
[ $d = {0} ] || losetup --detach $d)sh";
  const std::string said =
      output_of("export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin; " + fmt::format(kAsk, "'" + disk.string() + "'", sector.bytes));
  std::vector<std::string> names;
  for (const auto line : std::views::split(said, '\n'))
    if (!line.empty()) names.emplace_back(line.begin(), line.end());
  return names;
}

Result<Oracle> Oracle::make(const std::filesystem::path& old, const std::filesystem::path& complete, std::uint32_t sector) {
  STAMPEDE_TRY(File before, File::open(old, O_RDONLY));
  STAMPEDE_TRY(File after, File::open(complete, O_RDONLY));
  STAMPEDE_TRY(const Size size, before.size());
  STAMPEDE_TRY(const Size other, after.size());
  if (size != other || size.bytes % sector != 0 || size < 1_MiB)
    return fail(Code::usage, "the old disk has {} bytes and the complete one {}", size.bytes, other.bytes);
  return Oracle(std::move(before), std::move(after), size, Size{sector});
}

Result<Kind> Oracle::judge(const File& disk, const std::filesystem::path& path) const {
  const Offset last{size_.bytes - sector_.bytes};
  STAMPEDE_TRY(const bool untouched, is_same(disk, old_, size_, sector_));
  if (untouched) return Kind::untouched;
  STAMPEDE_TRY(const bool complete, is_same(disk, complete_, size_, sector_));
  if (complete) return Kind::complete;

  Bytes head(8192), old_sector(sector_.bytes);
  STAMPEDE_CHECK(disk.read_at({}, head));
  STAMPEDE_CHECK(old_.read_at({}, old_sector));
  const bool ours = disk::find_in_progress(head).has_value();
  const bool old_boot_sector = std::ranges::equal(ByteView(head).first(sector_.bytes), old_sector);
  const bool signature = head[510] == std::byte{0x55} && head[511] == std::byte{0xaa};
  // An old disk without a boot sector (an interrupted deployment) is known by its mark or not at all.
  if (signature && !old_boot_sector) return fail(Code::internal, "a boot sector stands on a disk that is not complete");
  if (!ours && !old_boot_sector) return fail(Code::internal, "a second run would not know this disk as its own");

  auto finders = who_finds_a_table(path, sector_);
  STAMPEDE_TRY(const bool header, has_header(disk, size_));
  if (header) finders.emplace_back("whoever takes a GPT header");
  if (finders.empty() && !signature) return Kind::unbootable;
  STAMPEDE_TRY(const bool old_whole, is_same(disk, old_, size_, sector_, {Offset{}, last}));
  if (old_whole) return Kind::old;
  STAMPEDE_TRY(const bool new_whole, is_same(disk, complete_, size_, sector_, {Offset{}, {sector_.bytes}, last}));
  if (new_whole && !signature) return Kind::fresh;
  return fail(Code::internal, "{} a partition table on half an image",
              finders.empty() ? "a boot sector promises" : fmt::format("{} would find", fmt::join(finders, ", ")));
}

}  // namespace stampede::powerloss
