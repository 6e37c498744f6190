#include "src/formats/container.h"

#include <poll.h>

#include <deque>

#include "src/formats/image_header.h"
#include "src/nbd/served_image.h"

namespace stampede::formats {

namespace {

constexpr std::size_t kDepth = 8;            // parts under way: 8 MiB
constexpr Size kAsk = 1_GiB;                 // of the disk, at once
constexpr std::uint64_t kMostGrowth = 1100;  // deflate makes 1032 of one at most
constexpr std::chrono::milliseconds kTick{100};
constexpr std::size_t kVmdkHeader = 512;

// Memory: a cache of tables, and the code; 230 MB measured. Processor time: 1 MiB of a compressed file a second, at least.
volume::Confinement limits_for(Size file) {
  return {.memory = 1_GiB, .processor = std::chrono::seconds(300 + file.bytes / (1U << 20))};
}

// A compressed vmdk's packed blocks are read with what follows them, and have checksums; it may have its tables at its end,
// which one that is cut short lacks.
Result<nbd::FileEnd> end_of(Kind kind, const ReadFile& read) {
  if (kind != Kind::vmdk) return nbd::FileEnd::hidden;
  STAMPEDE_TRY(const Bytes header, read({}, kVmdkHeader));
  if (header.size() < kVmdkHeader) return nbd::FileEnd::hidden;
  if (load_le<std::uint64_t>(ByteView(header).subspan(56)) == UINT64_MAX) return nbd::FileEnd::told;
  const bool compressed = load_le<std::uint16_t>(ByteView(header).subspan(77)) == 1;
  return compressed ? nbd::FileEnd::padded : nbd::FileEnd::hidden;
}

// Reads the disk's data in parts, several at once, and hands them on in order.
class Copy {
 public:
  Copy(nbd::ServedImage& image, Spool& spool, Ticker& ticker, Size most)
      : image_(image), spool_(spool), ticker_(ticker), most_(most), size_(image.disk().size()) {}

  Result<> run() {
    for (Offset at; at.bytes < size_.bytes;) {
      STAMPEDE_TRY(const auto extents, status(at));
      for (const auto& extent : extents) {
        if (!extent.zero) STAMPEDE_CHECK(read(at, extent.length));
        at += extent.length;
        STAMPEDE_CHECK(ticker_.tick({at.bytes}));
      }
    }
    while (!parts_.empty()) STAMPEDE_CHECK(finish_one());
    return {};
  }

 private:
  struct Part {
    Offset at;
    Bytes bytes;
    int error = -1;  // -1: under way
  };

  Result<std::vector<nbd::Connection::Extent>> status(Offset at) {
    auto extents = image_.disk().status(at, std::min(kAsk, Size{size_.bytes - at.bytes}));
    if (!extents && extents.error().code == Code::read_failed)
      return fail(Code::usage, "{}: {}", extents.error().message, image_.last_words());
    return extents;
  }

  Result<> read(Offset at, Size length) {
    data_ += length;
    if (data_ > most_)
      return fail(Code::usage, "{} says of more than {} that it were data, which cannot be in a file of its size",
                  spool_.name(), human_size(most_.bytes));
    for (const Offset end = at + length; at < end;) {
      if (parts_.size() == kDepth) STAMPEDE_CHECK(finish_one());
      const Size now = std::min(Spool::kPart, end - at);
      const auto& part = parts_.emplace_back(std::make_shared<Part>(Part{at, Bytes(now.bytes)}));
      image_.disk().start_read(at.bytes, part->bytes, [part](int error) { part->error = error; });
      at += now;
    }
    return {};
  }

  // The part that comes next on the disk.
  Result<> finish_one() {
    Part& part = *parts_.front();
    while (part.error < 0) {
      STAMPEDE_CHECK(ticker_.tick({part.at.bytes}));
      const auto waits = image_.disk().waits();
      pollfd ready{waits.fd, waits.events, 0};
      if (::poll(&ready, 1, static_cast<int>(kTick.count())) > 0) image_.disk().go_on(ready.revents);
    }
    if (part.error > 0)
      return fail(Code::usage, "{} cannot be read at byte {} of its disk: {}{}", spool_.name(), part.at.bytes,
                  errno_text(part.error), part.error == ENOTCONN ? "; qemu-nbd: " + image_.last_words() : std::string());
    STAMPEDE_CHECK(spool_.skip(part.at - Offset{spool_.position().bytes}));
    STAMPEDE_CHECK(spool_.write(part.bytes));
    parts_.pop_front();
    return {};
  }

  nbd::ServedImage& image_;
  Spool& spool_;
  Ticker& ticker_;
  const Size most_, size_;
  Size data_;
  std::deque<std::shared_ptr<Part>> parts_;  // shared with the connection, which writes into them
};

}  // namespace

Result<> copy_container(const File& source, Kind kind, Spool& spool, const UnpackOptions& options) {
  const ReadFile read = [&](Offset at, std::size_t length) -> Result<Bytes> {
    Bytes bytes(length);
    STAMPEDE_TRY(const std::size_t got, source.read_some_at(at, bytes));
    bytes.resize(got);
    return bytes;
  };
  STAMPEDE_CHECK(check_image_header(kind, read, source.name()));
  STAMPEDE_TRY(const Size size, source.size());
  STAMPEDE_TRY(const auto end, end_of(kind, read));
  STAMPEDE_TRY(const auto image,
               nbd::ServedImage::serve(source, name_of({kind, unpack::Packing::none}), end, limits_for(size)));
  STAMPEDE_CHECK(spool.declare(image->disk().size()));
  Ticker ticker(options, image->disk().size());
  auto copied = Copy(*image, spool, ticker, size * kMostGrowth).run();
  if (image->past_end())
    return fail(Code::usage, "{} is cut short: it has {} bytes, and its tables name data beyond them", source.name(),
                size.bytes);
  return copied;
}

}  // namespace stampede::formats
