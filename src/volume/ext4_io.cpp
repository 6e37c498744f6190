#include "src/volume/ext4_io.h"

#include <et/com_err.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <utility>

namespace stampede::volume {

namespace {

// ext2fs_open2() hands nothing but a name to the manager's open(); this is how the channel gets there.
thread_local Channel* opening = nullptr;
thread_local std::string complaint;

extern "C" {

errcode_t channel_open(const char*, int, io_channel* out);
errcode_t channel_close(io_channel io);
errcode_t channel_set_blksize(io_channel io, int size);
errcode_t channel_read64(io_channel io, unsigned long long block, int count, void* data);
errcode_t channel_write64(io_channel io, unsigned long long block, int count, const void* data);
errcode_t channel_read(io_channel io, unsigned long block, int count, void* data);
errcode_t channel_write(io_channel io, unsigned long block, int count, const void* data);
errcode_t channel_flush(io_channel io);
errcode_t channel_write_byte(io_channel io, unsigned long offset, int count, const void* data);
}

struct_io_manager make_manager() {
  struct_io_manager manager{};
  manager.magic = EXT2_ET_MAGIC_IO_MANAGER;
  manager.name = "stampede";
  manager.open = channel_open;
  manager.close = channel_close;
  manager.set_blksize = channel_set_blksize;
  manager.read_blk = channel_read;
  manager.write_blk = channel_write;
  manager.flush = channel_flush;
  manager.write_byte = channel_write_byte;
  manager.read_blk64 = channel_read64;
  manager.write_blk64 = channel_write64;
  return manager;
}
struct_io_manager the_manager = make_manager();

void note_complaint(const char*, long, const char* format, va_list arguments) {
  std::array<char, 200> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  if (complaint.empty()) complaint = text.data();
}

Channel& channel_of(io_channel io) { return *static_cast<Channel*>(io->private_data); }

// The byte range that libext2fs means: `count` blocks, or -count bytes. Nothing if it is not within the file system's space.
struct ByteRange {
  std::uint64_t offset = 0;
  std::size_t size = 0;
};
std::optional<ByteRange> range_of(io_channel io, std::uint64_t block, int count) {
  const auto block_size = static_cast<std::uint64_t>(io->block_size);
  const auto wide = static_cast<std::int64_t>(count);
  const std::uint64_t size = wide < 0 ? static_cast<std::uint64_t>(-wide) : static_cast<std::uint64_t>(wide) * block_size;
  const std::uint64_t limit = channel_of(io).size.bytes;
  std::uint64_t offset = 0;
  if (__builtin_mul_overflow(block, block_size, &offset) || offset > limit || size > limit - offset) return std::nullopt;
  return ByteRange{offset, size};
}

errcode_t read_range(Channel& channel, ByteRange range, void* data) {
  if (range.size > channel.read_budget) {
    if (!channel.read_error)
      channel.read_error = Error{Code::read_failed, "the file system is damaged: its structures lead in circles"};
    return EXT2_ET_SHORT_READ;
  }
  channel.read_budget -= range.size;
  auto got = channel.blocks->read(channel.start + Size{range.offset}, {static_cast<std::byte*>(data), range.size});
  if (got) return 0;
  if (!channel.read_error) channel.read_error = std::move(got).error();
  return EIO;
}

errcode_t note_write(Channel& channel, Result<> done) {
  if (done) return 0;
  const Code code = done.error().code;
  if (!channel.write_error) channel.write_error = std::move(done).error();
  return code == Code::no_space ? ENOSPC : EIO;
}

errcode_t write_range(Channel& channel, ByteRange range, const void* data) {
  return note_write(
      channel, channel.blocks->write(channel.start + Size{range.offset}, {static_cast<const std::byte*>(data), range.size}));
}

extern "C" {

errcode_t channel_open(const char*, int, io_channel* out) {
  auto* io = new struct_io_channel{};
  io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  io->manager = &the_manager;
  io->block_size = 1024;
  io->refcount = 1;
  io->private_data = opening;
  *out = io;
  return 0;
}

errcode_t channel_close(io_channel io) {
  if (--io->refcount > 0) return 0;
  delete io;
  return 0;
}

errcode_t channel_set_blksize(io_channel io, int size) {
  io->block_size = size;
  return 0;
}

errcode_t channel_read64(io_channel io, unsigned long long block, int count, void* data) {
  const auto range = range_of(io, block, count);
  return range ? read_range(channel_of(io), *range, data) : EXT2_ET_SHORT_READ;
}

errcode_t channel_write64(io_channel io, unsigned long long block, int count, const void* data) {
  const auto range = range_of(io, block, count);
  if (range) return write_range(channel_of(io), *range, data);
  return note_write(channel_of(io), fail(Code::write_failed, "the file system is damaged: block {} is outside it", block));
}

errcode_t channel_read(io_channel io, unsigned long block, int count, void* data) {
  return channel_read64(io, block, count, data);
}

errcode_t channel_write(io_channel io, unsigned long block, int count, const void* data) {
  return channel_write64(io, block, count, data);
}

errcode_t channel_flush(io_channel io) {
  Channel& channel = channel_of(io);
  return note_write(channel, channel.blocks->flush());
}

errcode_t channel_write_byte(io_channel io, unsigned long offset, int count, const void* data) {
  Channel& channel = channel_of(io);
  if (count < 0 || offset > channel.size.bytes || static_cast<std::uint64_t>(count) > channel.size.bytes - offset)
    return note_write(channel, fail(Code::write_failed, "the file system is damaged: byte {} is outside it", offset));
  return write_range(channel, {offset, static_cast<std::size_t>(count)}, data);
}
}

}  // namespace

errcode_t open_over(Channel& channel, int flags, ext2_filsys* out) {
  static std::once_flag once;
  std::call_once(once, [] {
    initialize_ext2_error_table();
    set_com_err_hook(note_complaint);
  });
  complaint.clear();
  opening = &channel;
  const errcode_t error = ext2fs_open2("disk", nullptr, flags, 0, 0, &the_manager, out);
  opening = nullptr;
  return error;
}

std::string take_complaint() { return std::exchange(complaint, {}); }

}  // namespace stampede::volume
