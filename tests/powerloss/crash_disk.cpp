#include "tests/powerloss/crash_disk.h"

#include <fcntl.h>

#include <algorithm>
#include <numeric>

namespace stampede::powerloss {

namespace {

constexpr Size kPiece = 1_MiB;

void shuffle(Random& random, std::vector<std::size_t>& order) {
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
}

// Calls take(where from the start, bytes) for all of it, piece by piece.
template <class Take>
Result<> pieces(const File& from, Offset at, Size length, Take take) {
  Bytes buffer(std::min(length, kPiece).bytes);
  for (Size done; done < length;) {
    const MutableBytes part = MutableBytes(buffer).first(std::min(kPiece, length - done).bytes);
    STAMPEDE_CHECK(from.read_at(at + done, part));
    STAMPEDE_CHECK(take(done, ByteView(part)));
    done += Size{part.size()};
  }
  return {};
}

// A hole, where the file system of the file has them: much of a disk is zeros.
Result<> write_zeros(const File& to, Offset at, Size length) {
  const auto from = static_cast<off_t>(at.bytes), size = static_cast<off_t>(length.bytes);
  if (::fallocate(to.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, size) == 0) return {};
  return to.write_at(at, Bytes(length.bytes));
}

Result<> copy_range(const File& from, Offset at, Size length, const File& to, Offset there) {
  return pieces(from, at, length, [&](Size done, ByteView part) {
    return all_zero(part) ? write_zeros(to, there + done, {part.size()}) : to.write_at(there + done, part);
  });
}

// What is zeros stays a hole.
Result<File> copy_of(const std::filesystem::path& path, const File& old, Size size) {
  STAMPEDE_TRY(File made, File::open(path, O_RDWR | O_CREAT | O_TRUNC));
  STAMPEDE_CHECK(made.truncate(size));
  STAMPEDE_CHECK(pieces(old, {}, size, [&](Size done, ByteView part) {
    return all_zero(part) ? Result<>{} : made.write_at({done.bytes}, part);
  }));
  return made;
}

void tear(Random& random, Size sector, std::size_t write, Size length, std::vector<Landed>& out) {
  const std::uint64_t sectors = length.bytes / sector.bytes;
  if (sectors < 2) return;  // a sector is old or new: here it is old
  const Size first = sector * (1 + random.below(sectors - 1));
  const Size rest = length - first;
  const std::uint64_t kind = random.below(3);
  if (kind != 1) out.push_back({write, {}, first});
  if (kind == 0) return;
  const Size missing = kind == 1 ? Size{} : sector * (1 + random.below(rest.bytes / sector.bytes));
  if (missing < rest) out.push_back({write, first + missing, rest - missing});
}

}  // namespace

std::vector<Landed> choose_state(Random& random, const Epoch& epoch, Size sector) {
  std::vector<std::size_t> chosen(1 + random.below(epoch.size()));
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  const std::uint64_t share = 1 + random.below(16);  // of 16: from nearly nothing to all
  std::erase_if(chosen, [&](std::size_t) { return random.below(16) >= share; });
  shuffle(random, chosen);
  std::vector<Landed> landed;
  const std::size_t torn = chosen.empty() ? 0 : random.below(chosen.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const Size length = epoch[chosen[i]].length;
    if (i == torn)
      tear(random, sector, chosen[i], length, landed);
    else
      landed.push_back({chosen[i], {}, length});
  }
  return landed;
}

Result<CrashDisk> CrashDisk::make(const std::filesystem::path& folder, const std::filesystem::path& old, const File& log) {
  STAMPEDE_TRY(const File from, File::open(old, O_RDONLY));
  STAMPEDE_TRY(const Size size, from.size());
  STAMPEDE_TRY(File base, copy_of(folder / "base", from, size));
  STAMPEDE_TRY(File disk, copy_of(folder / "disk", from, size));
  return CrashDisk(folder / "disk", std::move(base), std::move(disk), log);
}

Result<> CrashDisk::land(const Epoch& epoch, std::span<const Landed> landed) {
  for (const Landed& part : landed) {
    const Write& write = epoch[part.write];
    const Offset at = write.at + part.skipped;
    touched_.push_back({at, part.length});
    STAMPEDE_CHECK(write.zeros ? write_zeros(disk_, at, part.length)
                               : copy_range(*log_, write.data + part.skipped, part.length, disk_, at));
  }
  return {};
}

Result<> CrashDisk::undo() {
  for (const Touched& range : touched_) STAMPEDE_CHECK(copy_range(base_, range.at, range.length, disk_, range.at));
  touched_.clear();
  return {};
}

Result<> CrashDisk::flush(const Epoch& epoch) {
  for (const Write& write : epoch)
    for (const File* file : {&base_, &disk_})
      STAMPEDE_CHECK(write.zeros ? write_zeros(*file, write.at, write.length)
                                 : copy_range(*log_, write.data, write.length, *file, write.at));
  return {};
}

}  // namespace stampede::powerloss
