#include "src/formats/partclone.h"

#include <zlib.h>

#include <algorithm>
#include <bit>

#include "src/base/text.h"

namespace stampede::formats {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMagic = "partclone-image\0"sv, kVersion = "0002"sv;
constexpr std::uint16_t kLittle = 0xc0de, kNumber = 2;
constexpr std::uint16_t kNoChecksum = 0, kCrc32 = 0x20;
constexpr std::uint8_t kBit = 1, kNoBitmap = 8;
constexpr std::uint32_t kFeatures = 18;
constexpr std::uint64_t kMostBlocks = 1ULL << 32;
constexpr std::uint32_t kSmallestBlock = 512, kLargestBlock = 2U << 20;

// Of partclone: started with all ones, and not inverted in the end.
class Checksum {
 public:
  void add(ByteView bytes) {
    const std::uint32_t begun = ~value_;
    value_ = ~static_cast<std::uint32_t>(::crc32_z(begun, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  }
  std::uint32_t value() const { return value_; }

 private:
  std::uint32_t value_ = UINT32_MAX;
};

// Grows as it comes, so that a header that lies costs no memory.
Result<Bytes> read_bitmap(unpack::Stream& stream, std::uint64_t blocks, Ticker& ticker) {
  const std::uint64_t size = (blocks + 7) / 8;
  Bytes bitmap;
  while (bitmap.size() < size) {
    const std::size_t at = bitmap.size();
    bitmap.resize(at + std::min<std::uint64_t>(size - at, Spool::kPart.bytes));
    STAMPEDE_CHECK(unpack::read_all(stream, MutableBytes(bitmap).subspan(at)));
    STAMPEDE_CHECK(ticker.tick(stream.consumed()));
  }
  Checksum checksum;
  checksum.add(bitmap);
  std::array<std::byte, 4> stored{};
  STAMPEDE_CHECK(unpack::read_all(stream, stored));
  if (load_le<std::uint32_t>(stored) != checksum.value()) return fail(Code::usage, "its bitmap is damaged");
  return bitmap;
}

std::uint64_t count_used(ByteView bitmap, std::uint64_t blocks) {
  std::uint64_t used = 0;
  for (std::uint64_t byte = 0; byte < bitmap.size(); ++byte) {
    auto bits = static_cast<std::uint8_t>(bitmap[byte]);
    // What fills up the last byte says nothing.
    if (const std::uint64_t left = blocks - byte * 8; left < 8) bits &= static_cast<std::uint8_t>((1U << left) - 1);
    used += static_cast<std::uint64_t>(std::popcount(bits));
  }
  return used;
}

// The used blocks, from the stream into the spool.
class Blocks {
 public:
  Blocks(const PartcloneHeader& header, unpack::Stream& stream, Spool& spool, Ticker& ticker)
      : header_(header), stream_(stream), spool_(spool), ticker_(ticker) {
    // Whole blocks, whose number is no more than what one checksum is of.
    const std::uint64_t most = std::max<std::uint64_t>(1, Spool::kPart.bytes / header.block_size);
    part_.resize((header.checksums ? std::min<std::uint64_t>(most, header.blocks_per_checksum) : most) * header.block_size);
  }

  Result<> run(ByteView bitmap) {
    const auto is_used = [&](std::uint64_t block) {
      return !header_.bitmap || (static_cast<unsigned>(bitmap[block / 8]) >> (block % 8) & 1U) != 0;
    };
    for (std::uint64_t block = 0; block < header_.blocks;) {
      std::uint64_t end = block + 1;
      while (end < header_.blocks && end - block < most_in_a_run() && is_used(end) == is_used(block)) ++end;
      if (is_used(block))
        STAMPEDE_CHECK(copy(end - block));
      else
        STAMPEDE_CHECK(spool_.skip(Size{header_.block_size} * (end - block)));
      block = end;
    }
    if (in_group_ > 0) STAMPEDE_CHECK(check_group());
    return {};
  }

 private:
  std::uint64_t most_in_a_run() const { return part_.size() / header_.block_size; }

  Result<> copy(std::uint64_t blocks) {
    while (blocks > 0) {
      const std::uint64_t now = header_.checksums ? std::min(blocks, header_.blocks_per_checksum - in_group_) : blocks;
      const MutableBytes bytes = MutableBytes(part_).first(now * header_.block_size);
      STAMPEDE_CHECK(unpack::read_all(stream_, bytes));
      STAMPEDE_CHECK(spool_.write(bytes));
      STAMPEDE_CHECK(ticker_.tick(stream_.consumed()));
      blocks -= now;
      if (!header_.checksums) continue;
      checksum_.add(bytes);
      in_group_ += now;
      if (in_group_ == header_.blocks_per_checksum) STAMPEDE_CHECK(check_group());
    }
    return {};
  }

  Result<> check_group() {
    std::array<std::byte, 4> stored{};
    STAMPEDE_CHECK(unpack::read_all(stream_, stored));
    if (load_le<std::uint32_t>(stored) != checksum_.value())
      return fail(Code::usage, "its blocks before byte {} of the partition are damaged", spool_.position().bytes);
    if (header_.reseed) checksum_ = {};
    in_group_ = 0;
    return {};
  }

  const PartcloneHeader& header_;
  unpack::Stream& stream_;
  Spool& spool_;
  Ticker& ticker_;
  Bytes part_;
  Checksum checksum_;
  std::uint64_t in_group_ = 0;  // blocks since the last checksum
};

Result<> copy_all(unpack::Stream& stream, Spool& spool, Ticker& ticker) {
  std::array<std::byte, kPartcloneHeader> bytes{};
  STAMPEDE_CHECK(unpack::read_all(stream, bytes));
  STAMPEDE_TRY(const auto header, decode_partclone_header(bytes));
  STAMPEDE_CHECK(spool.declare(std::max(header.device, Size{header.block_size} * header.blocks)));
  Bytes bitmap;
  if (header.bitmap) {
    STAMPEDE_TRY(bitmap, read_bitmap(stream, header.blocks, ticker));
    if (count_used(bitmap, header.blocks) != header.used) return fail(Code::usage, "its bitmap contradicts its header");
  }
  STAMPEDE_CHECK(Blocks(header, stream, spool, ticker).run(bitmap));
  std::array<std::byte, 1> more{};
  STAMPEDE_TRY(const std::size_t behind, stream.read(more));
  if (behind != 0) return fail(Code::usage, "it goes on behind its last block");
  return {};
}

}  // namespace

Result<PartcloneHeader> decode_partclone_header(ByteView bytes) {
  if (bytes.size() != kPartcloneHeader || !as_text(bytes).starts_with(kMagic))
    return fail(Code::usage, "it does not begin as a partclone image");
  if (as_text(bytes.subspan(30)).substr(0, kVersion.size()) != kVersion)
    return fail(Code::usage,
                "it is of version '{}' of the format, and only 0002 is known; restore and clone it with a newer "
                "partclone",
                printable(as_text(bytes.subspan(30, 4))));
  ByteReader reader(bytes.subspan(34));
  PartcloneHeader header;
  const auto order = reader.u16();
  const std::string_view name = as_text(reader.view(16));
  header.file_system = printable(name.substr(0, name.find('\0')));
  header.device = {reader.u64()};
  header.blocks = reader.u64();
  reader.u64();
  header.used = reader.u64();
  header.block_size = reader.u32();
  const auto features = reader.u32();
  const auto number = reader.u16();
  reader.u16();
  const auto checksum = reader.u16(), checksum_size = reader.u16();
  header.blocks_per_checksum = reader.u32();
  header.reseed = reader.u8() != 0;
  const auto bitmap = reader.u8();
  Checksum sum;
  sum.add(bytes.first(kPartcloneHeader - 4));
  if (order != kLittle) return fail(Code::usage, "it was made on a big-endian machine");
  if (reader.u32() != sum.value()) return fail(Code::usage, "its header is damaged");
  header.checksums = checksum == kCrc32;
  header.bitmap = bitmap == kBit;
  if (features != kFeatures || number != kNumber || (checksum != kCrc32 && checksum != kNoChecksum) ||
      (bitmap != kBit && bitmap != kNoBitmap) ||
      (header.checksums && (checksum_size != 4 || header.blocks_per_checksum == 0)))
    return fail(Code::usage, "it is of a kind that is not known (checksum {}, bitmap {})", checksum, bitmap);
  if (header.block_size < kSmallestBlock || header.block_size > kLargestBlock || header.blocks > kMostBlocks ||
      header.used > header.blocks || header.device.bytes > INT64_MAX)
    return fail(Code::usage, "its header speaks of {} blocks of {} bytes, {} of them used: no partition is like that",
                header.blocks, header.block_size, header.used);
  return header;
}

Result<> copy_partclone(unpack::Stream& stream, Spool& spool, Ticker& ticker) {
  auto copied = copy_all(stream, spool, ticker);
  if (copied || copied.error().code != Code::usage) return copied;
  return pass(copied.error(), spool.name());
}

}  // namespace stampede::formats
