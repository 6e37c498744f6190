#include "src/formats/raw_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include "src/formats/unpack_impl.h"

namespace stampede::formats {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kStandardInput = "-";

Result<File> open_source(const fs::path& file) {
  if (file != kStandardInput) return File::open(file, O_RDONLY);
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

Result<File> unpack_stream(const File& source, Format format, const UnpackOptions& options) {
  STAMPEDE_TRY(const auto stream, unpack::open_stream(source, format.packing, options.interrupted));
  STAMPEDE_TRY(Spool spool, Spool::make(options.folder, source.name(), options.limits));
  Ticker ticker(options, packed_size(source));
  STAMPEDE_CHECK(copy_raw(*stream, spool, ticker, !options.format));
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
  STAMPEDE_TRY(const File source, open_source(file));
  RawDisk disk{file, format, file.filename().string(), {}};
  if (format == Format{} && !stream) {
    if (!options.format) STAMPEDE_CHECK(check_start(source, Kind::raw));
    return disk;
  }
  if (format.kind != Kind::raw) return fail(Code::usage, "{} files cannot be read by this version", name_of(format));
  STAMPEDE_TRY(disk.spool, unpack_stream(source, format, options));
  disk.path = disk.spool.path();
  return disk;
}

}  // namespace stampede::formats
