#include "src/unpack/stream.h"

#include <archive.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "src/base/lazy_library.h"

namespace stampede::unpack {

namespace {

struct Libarchive : LazyLibrary {
  Libarchive() : LazyLibrary("libarchive.so.13", "libarchive13") {}
  decltype(&archive_read_new) read_new = function("archive_read_new");
  decltype(&archive_read_append_filter) read_append_filter = function("archive_read_append_filter");
  decltype(&archive_read_support_filter_all) read_support_filter_all = function("archive_read_support_filter_all");
  decltype(&archive_read_support_format_raw) read_support_format_raw = function("archive_read_support_format_raw");
  decltype(&archive_read_open) read_open = function("archive_read_open");
  decltype(&archive_read_open_memory) read_open_memory = function("archive_read_open_memory");
  decltype(&archive_read_next_header) read_next_header = function("archive_read_next_header");
  decltype(&archive_read_data) read_data = function("archive_read_data");
  decltype(&archive_read_free) read_free = function("archive_read_free");
  decltype(&archive_filter_bytes) filter_bytes = function("archive_filter_bytes");
  decltype(&archive_error_string) error_string = function("archive_error_string");
  decltype(&archive_set_error) set_error = function("archive_set_error");
};

const Libarchive& libarchive() {
  static const Libarchive library;
  return library;
}

constexpr std::size_t kPart = 256 * 1024;
constexpr std::chrono::milliseconds kTick{100};

struct Close {
  void operator()(archive* it) const { libarchive().read_free(it); }
};
using Archive = std::unique_ptr<archive, Close>;

class Plain final : public Stream {
 public:
  Plain(const File& file, std::function<bool()> interrupted) : file_(file), interrupted_(std::move(interrupted)) {}

  Result<std::size_t> read(MutableBytes out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      STAMPEDE_TRY(const std::size_t got, read_some(out.subspan(done)));
      if (got == 0) break;
      done += got;
    }
    return done;
  }
  Size consumed() const override { return consumed_; }

  // At least one byte, but at the end.
  Result<std::size_t> read_some(MutableBytes out) {
    while (true) {
      if (interrupted_ && interrupted_()) return fail(Code::interrupted, "interrupted by a signal");
      pollfd ready{file_.fd(), POLLIN, 0};
      if (::poll(&ready, 1, static_cast<int>(kTick.count())) == 0) continue;
      const ssize_t got = ::read(file_.fd(), out.data(), out.size());
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (got < 0) return fail(Code::read_failed, "cannot read {}: {}", file_.name(), errno_text(errno));
      consumed_ += Size{static_cast<std::uint64_t>(got)};
      return static_cast<std::size_t>(got);
    }
  }

 private:
  const File& file_;
  const std::function<bool()> interrupted_;
  Size consumed_;
};

class Packed final : public Stream {
 public:
  Packed(const File& file, std::function<bool()> interrupted)
      : name_(file.name()), plain_(file, std::move(interrupted)), part_(kPart), archive_(libarchive().read_new()) {}

  Result<> open(int filter) {
    archive* const it = archive_.get();
    archive_entry* entry = nullptr;
    // The one filter that was said: what is inside is never asked whether it is packed once more. The first bytes are read
    // already, and no more is told of what is wrong with them than below.
    if (libarchive().read_append_filter(it, filter) == ARCHIVE_OK &&
        libarchive().read_support_format_raw(it) == ARCHIVE_OK &&
        libarchive().read_open(it, this, nullptr, more, nullptr) == ARCHIVE_OK &&
        libarchive().read_next_header(it, &entry) == ARCHIVE_OK)
      return {};
    if (error_) return failed();
    return fail(Code::usage,
                "cannot unpack {}: its start is not packed as its name or --format says, is damaged, or wants too "
                "much memory (a zstd window of 128 MiB at most)",
                name_);
  }

  Result<std::size_t> read(MutableBytes out) override {
    std::size_t done = 0;
    while (done < out.size() && !ended_) {
      const auto got = libarchive().read_data(archive_.get(), out.data() + done, out.size() - done);
      if (got < 0) return failed();
      done += static_cast<std::size_t>(got);
      if (got != 0) continue;
      ended_ = true;
      STAMPEDE_CHECK(check_end());
    }
    return done;
  }
  Size consumed() const override { return plain_.consumed(); }

 private:
  // libarchive asks for more of the file.
  static la_ssize_t more(archive* it, void* self, const void** out) {
    auto& packed = *static_cast<Packed*>(self);
    const auto got = packed.plain_.read_some(packed.part_);
    if (!got) {
      packed.error_ = got.error();
      libarchive().set_error(it, EIO, "%s", got.error().message.c_str());
      return -1;
    }
    *out = packed.part_.data();
    return static_cast<la_ssize_t>(*got);
  }

  std::unexpected<Error> failed() {
    if (error_) return std::unexpected(*error_);
    const char* const why = libarchive().error_string(archive_.get());
    return fail(Code::usage, "cannot unpack {} after {} bytes of it: {}", name_, plain_.consumed().bytes,
                why == nullptr ? "it is damaged" : why);
  }

  // libarchive takes what it does not know for the end, and what comes after it would be missing without a word.
  Result<> check_end() {
    const auto used = static_cast<std::uint64_t>(libarchive().filter_bytes(archive_.get(), -1));
    std::uint64_t all = plain_.consumed().bytes;
    if (used == all) {
      STAMPEDE_TRY(const std::size_t more_of_it, plain_.read_some(part_));
      all += more_of_it;
    }
    if (used == all) return {};
    return fail(Code::usage, "{} is damaged: from byte {} on it is not packed as before", name_, used);
  }

  const std::string name_;
  Plain plain_;
  Bytes part_;
  std::optional<Error> error_;  // of the file
  Archive archive_;
  bool ended_ = false;
};

}  // namespace

Result<> usable() { return libarchive().usable(); }

Result<std::unique_ptr<Stream>> open_stream(const File& file, Packing packing, std::function<bool()> interrupted) {
  if (packing == Packing::none) return std::make_unique<Plain>(file, std::move(interrupted));
  STAMPEDE_CHECK(usable());
  auto packed = std::make_unique<Packed>(file, std::move(interrupted));
  STAMPEDE_CHECK(packed->open(packing == Packing::gzip ? ARCHIVE_FILTER_GZIP
                              : packing == Packing::xz ? ARCHIVE_FILTER_XZ
                                                       : ARCHIVE_FILTER_ZSTD));
  return packed;
}

Result<> read_all(Stream& stream, MutableBytes out) {
  STAMPEDE_TRY(const std::size_t got, stream.read(out));
  if (got < out.size()) return fail(Code::usage, "it ends {} bytes too early", out.size() - got);
  return {};
}

Result<> unpack_any(ByteView packed, const std::function<bool(ByteView part)>& take, std::size_t overlap) {
  STAMPEDE_CHECK(usable());
  const Archive reader(libarchive().read_new());
  const auto failed = [&] {
    return fail(Code::read_failed, "cannot unpack it: {}", libarchive().error_string(reader.get()));
  };
  libarchive().read_support_filter_all(reader.get());
  libarchive().read_support_format_raw(reader.get());
  archive_entry* entry = nullptr;
  if (libarchive().read_open_memory(reader.get(), packed.data(), packed.size()) != ARCHIVE_OK) return failed();
  if (libarchive().read_next_header(reader.get(), &entry) != ARCHIVE_OK) return failed();
  Bytes part(overlap + (1U << 20));
  for (std::size_t kept = 0;;) {
    const auto got = libarchive().read_data(reader.get(), part.data() + kept, part.size() - kept);
    if (got < 0) return failed();
    const ByteView all = ByteView(part).first(kept + static_cast<std::size_t>(got));
    if (got == 0 || !take(all)) return {};
    kept = std::min(overlap, all.size());
    std::ranges::copy(all.last(kept), part.begin());
  }
}

}  // namespace stampede::unpack
