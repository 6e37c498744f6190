#include "src/formats/raw_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include "src/formats/container.h"
#include "src/formats/partclone.h"

namespace stampede::formats {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kStandardInput = "-";

// A pipe without a writer is opened at once, and waited for where interruptions are heard of: in its stream.
Result<File> open_source(const fs::path& file, bool stream) {
  if (file != kStandardInput) return File::open(file, stream ? O_RDONLY | O_NONBLOCK : O_RDONLY);
  const int fd = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return fail(Code::usage, "cannot read standard input: {}", errno_text(errno));
  return File(fd, "standard input");
}

// It has no places to go to, only a next byte.
bool is_stream(const fs::path& file) {
  std::error_code error;
  const auto type = fs::status(file, error).type();
  return file == kStandardInput || type == fs::file_type::fifo || type == fs::file_type::socket;
}

Result<> check_in_place(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return fail(Code::usage, "no file {}", file.string());
  const auto status = fs::status(file, error);
  if (!fs::is_regular_file(status) && !fs::is_block_file(status))
    return fail(Code::usage, "{} is not a disk image or a block device", file.string());
  return {};
}

Result<> check_start(const File& file, Kind kind) {
  Bytes start(kMagicBytes);
  STAMPEDE_TRY(const std::size_t got, file.read_some_at({}, start));
  return contradicts(ByteView(start).first(got), kind, file.name());
}

// The size of what is packed, where that is known beforehand.
Size packed_size(const File& file) {
  const auto stamp = file.stamp();
  return stamp && stamp->regular ? Size{stamp->size} : Size{};
}

Result<> fill(Spool& spool, const File& source, Format format, const UnpackOptions& options) {
  if (format.kind != Kind::raw && format.kind != Kind::partclone) return copy_container(source, format.kind, spool, options);
  STAMPEDE_TRY(const auto stream, unpack::open_stream(source, format.packing, options.interrupted));
  Ticker ticker(options, packed_size(source));
  return format.kind == Kind::raw ? copy_raw(*stream, spool, ticker, !options.format)
                                  : copy_partclone(*stream, spool, ticker);
}

Result<File> unpack_all(const File& source, Format format, const UnpackOptions& options) {
  STAMPEDE_TRY(Spool spool, Spool::make(options.folder, source.name(), options.limits));
  STAMPEDE_CHECK(fill(spool, source, format, options));
  return std::move(spool).finish();
}

}  // namespace

Result<> Ticker::tick(Size done) {
  if (options_.interrupted && options_.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
  const Instant now = system_clock().now();
  if (!options_.progress || now - last_ < kEvery) return {};
  last_ = now;
  options_.progress(done, total_);
  return {};
}

Result<> copy_raw(unpack::Stream& stream, Spool& spool, Ticker& ticker, bool guess) {
  Bytes part(Spool::kPart.bytes);
  while (true) {
    STAMPEDE_TRY(const std::size_t got, stream.read(part));
    const ByteView bytes = ByteView(part).first(got);
    if (guess && spool.position() == Size{})
      STAMPEDE_CHECK(contradicts(bytes.first(std::min(got, kMagicBytes)), Kind::raw, spool.name()));
    STAMPEDE_CHECK(spool.write(bytes));
    STAMPEDE_CHECK(ticker.tick(stream.consumed()));
    if (got < part.size()) return {};
  }
}

Result<RawDisk> open_raw_disk(const fs::path& file, const UnpackOptions& options) {
  const bool stream = is_stream(file);
  Format format;
  if (options.format) {
    format = *options.format;
  } else if (!stream) {
    STAMPEDE_TRY(format, format_of(file.string()));
  }
  if (!stream) STAMPEDE_CHECK(check_in_place(file));
  STAMPEDE_TRY(const File source, open_source(file, stream));
  RawDisk disk{file, format, file.filename().string(), {}};
  if (format == Format{} && !stream) {
    if (!options.format) STAMPEDE_CHECK(check_start(source, Kind::raw));
    return disk;
  }
  if (stream && format.kind != Kind::raw && format.kind != Kind::partclone)
    return fail(Code::usage, "{} cannot be read from {}: its tables are anywhere in the file; save it first",
                name_of(format), source.name());
  STAMPEDE_TRY(disk.spool, unpack_all(source, format, options));
  disk.path = disk.spool.path();
  return disk;
}

}  // namespace stampede::formats
