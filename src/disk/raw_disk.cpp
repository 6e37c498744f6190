#include "src/disk/raw_disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace stampede::disk {

namespace {
constexpr std::size_t kBounce = 256UL * 1024;
}

Error io_error(Code code, std::string_view path, std::uint64_t at, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  const bool reading = code == Code::read_failed;
  const bool left = error_number == ENOTCONN;  // of image files alone
  return {full && !reading ? Code::no_space : code,
          fmt::format("cannot {} {} at byte {}: {}", reading ? "read" : "write", path, at,
                      left ? "qemu-nbd has ended" : errno_text(error_number))};
}

RawDisk::RawDisk(GuardedDisk disk, Faults faults) : disk_(std::move(disk)), faults_(std::move(faults)), bounce_(kBounce) {}

Result<> RawDisk::check_inside(Offset at, std::size_t size) const {
  if (at.bytes <= this->size().bytes && size <= this->size().bytes - at.bytes) return {};
  return fail(Code::internal, "bytes {} to {} are beyond the end of {} ({} bytes)", at.bytes, at.bytes + size, path(),
              this->size().bytes);
}

// One read or write, as the kernel or a fault will have it: bytes moved, or -1 and errno.
ssize_t RawDisk::move(Operation::Kind kind, std::uint64_t at, MutableBytes bytes) {
  const Fault fault = fault_of(faults_, {kind, at, bytes.size()});
  if (fault.error != 0) {
    errno = fault.error;
    return -1;
  }
  const std::size_t size = std::min<std::uint64_t>(bytes.size(), fault.most);
  if (disk_.image) {
    nbd::Connection& content = disk_.image->content();
    return kind == Operation::Kind::read ? content.read(at, bytes.first(size)) : content.write(at, bytes.first(size));
  }
  const auto offset = static_cast<off_t>(at);
  return kind == Operation::Kind::read ? ::pread(fd(), bytes.data(), size, offset)
                                       : ::pwrite(fd(), bytes.data(), size, offset);
}

// Fills `out` from an aligned place; past the end of a file come zeros.
Result<> RawDisk::read_blocks(std::uint64_t at, MutableBytes out) {
  const std::size_t needed = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size().bytes - at));
  std::size_t done = 0;
  while (done < needed) {
    const ssize_t n = move(Operation::Kind::read, at + done, out.subspan(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::unexpected(io_error(Code::read_failed, path(), at + done, n < 0 ? errno : EIO));
    done += static_cast<std::size_t>(n);
  }
  std::ranges::fill(out.subspan(needed), std::byte{0});
  return {};
}

Result<> RawDisk::read(Offset at, MutableBytes out) {
  STAMPEDE_CHECK(check_inside(at, out.size()));
  const std::scoped_lock lock(mutex_);
  while (!out.empty()) {
    const std::uint64_t from = round_down(at.bytes, disk_.alignment);
    const std::size_t skip = static_cast<std::size_t>(at.bytes - from);
    const std::size_t size = std::min(out.size(), kBounce - skip);
    STAMPEDE_CHECK(read_blocks(from, bounce_.bytes().first(round_up(skip + size, disk_.alignment))));
    std::memcpy(out.data(), bounce_.bytes().data() + skip, size);
    out = out.subspan(size);
    at += Size{size};
  }
  return {};
}

Result<> RawDisk::write(Offset at, ByteView bytes) {
  STAMPEDE_CHECK(check_inside(at, bytes.size()));
  const std::scoped_lock lock(mutex_);
  while (!bytes.empty()) {
    const std::size_t skip = static_cast<std::size_t>(at.bytes % disk_.alignment);
    const std::size_t size = std::min(bytes.size(), kBounce - skip);
    STAMPEDE_CHECK(write_piece(at.bytes, bytes.first(size)));
    bytes = bytes.subspan(size);
    at += Size{size};
  }
  return {};
}

Result<> RawDisk::write_piece(std::uint64_t at, ByteView bytes) {
  const std::size_t block = disk_.alignment;
  const std::uint64_t from = round_down(at, block);
  const std::size_t skip = static_cast<std::size_t>(at - from);
  const std::size_t whole = round_up(skip + bytes.size(), block);
  const MutableBytes out = bounce_.bytes().first(whole);
  if (skip > 0) STAMPEDE_CHECK(read_blocks(from, out.first(block)));
  const bool last_is_read = skip > 0 && whole == block;
  if (whole > skip + bytes.size() && !last_is_read)
    STAMPEDE_CHECK(read_blocks(from + whole - block, out.subspan(whole - block)));
  std::memcpy(out.data() + skip, bytes.data(), bytes.size());
  for (std::size_t done = 0; done < whole;) {
    const ssize_t n = move(Operation::Kind::write, from + done, out.subspan(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::unexpected(io_error(Code::write_failed, path(), from + done, n < 0 ? errno : ENOSPC));
    done += static_cast<std::size_t>(n);
  }
  return from + whole > size().bytes ? trim() : Result<>{};
}

Result<> RawDisk::trim() {
  if (!disk_.is_file || disk_.image || size().bytes % disk_.alignment == 0) return {};
  return disk_.file.truncate(size());
}

Result<> RawDisk::flush() {
  STAMPEDE_CHECK(trim());
  int error = 0;
  do {
    error = fault_of(faults_, {Operation::Kind::flush, 0, size().bytes}).error;
    if (error == 0 && (disk_.image ? disk_.image->content().flush() : ::fdatasync(fd())) != 0) error = errno;
  } while (error == EINTR);
  if (error == 0) return {};
  return fail(Code::flush_failed, "cannot flush {}: {}; what was written may be lost: deploy again", path(),
              errno_text(error));
}

// By the descriptor, not by the name, which may by now be another disk's.
Result<std::unique_ptr<Reader>> RawDisk::reader() const {
  if (disk_.image) return disk_.image->reader();
  const int direct = ::fcntl(fd(), F_GETFL) & O_DIRECT;
  const int again = ::open(fmt::format("/proc/self/fd/{}", fd()).c_str(), O_RDONLY | O_CLOEXEC | direct);
  if (again < 0) return fail(Code::read_failed, "cannot open {} for reading: {}", path(), errno_text(errno));
  return std::make_unique<FileReader>(File(again, path()), disk_.alignment);
}

void RawDisk::drop_cache() {
  if (!disk_.direct) ::posix_fadvise(fd(), 0, 0, POSIX_FADV_DONTNEED);
}

void RawDisk::announce_table() {
  if (!disk_.is_file) ::ioctl(fd(), BLKRRPART);
}

}  // namespace stampede::disk
