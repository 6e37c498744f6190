// A pack: an append-only file of sealed chunks, in the order in which they were put. Little-endian, fixed width, unpadded.
//
//   0   8  magic "STMPPACK"
//   8   2  version = 1
//   10  6  zero
//   16     records, one after another:
//            0  4  magic "CHNK"
//            4  1  codec (0 raw, 1 zstd)        5  3  zero
//            8  4  plain size (1…kMaxObject)   12  4  sealed size (1…plain size; equal to it if raw)
//           16 32  chunk id
//           48  8  XXH3-64 (seed 0) of the sealed bytes
//           56  8  XXH3-64 (seed 0) of the 56 bytes before
//           64     the sealed bytes
//
// A closed pack ends with its footer, and is named "<SHA-256 of the footer>.pack":
//   0      entries, 48 bytes each, strictly ascending by id:
//            0 32  chunk id
//           32  8  offset of the record in the file
//           40  4  sealed size
//           44  4  plain size; the codec in the high 4 bits
//   then   trailer, 32 bytes:
//            0  8  number of entries (from 1)
//            8  8  offset of the footer in the file: the end of the records
//           16  2  version = 1     18  6  zero
//           24  8  magic "STMPFOOT"
//
// A closed pack is never written again. Its footer is checked when it is opened, and read again by the entry; a record's
// checks when it is read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chunker/source.h"
#include "src/base/file.h"

namespace stampede::cache {

inline constexpr std::size_t kPackHead = 16;
inline constexpr std::size_t kRecordHead = 64;
inline constexpr std::size_t kFooterEntry = 48;
inline constexpr std::size_t kTrailer = 32;
// A pack is closed when it has grown to either; a footer is at most 12 MiB.
inline constexpr Size kPackSize = 512_MiB;
inline constexpr std::uint64_t kPackEntries = std::uint64_t{1} << 18;

struct PackEntry {
  chunker::ChunkId id;
  Offset record;
  std::uint32_t sealed_size = 0;
  std::uint32_t plain_size = 0;
  chunker::Codec codec = chunker::Codec::raw;
  auto operator<=>(const PackEntry&) const = default;

  Offset sealed() const { return record + Size{kRecordHead}; }
  Offset end() const { return sealed() + Size{sealed_size}; }
};

using RecordHead = std::array<std::byte, kRecordHead>;

Bytes encode_pack_head();
bool is_pack_head(ByteView bytes);
RecordHead encode_record_head(const chunker::SealedChunk& chunk);
// The entry of the record whose head this is. Error: content_altered.
Result<PackEntry> decode_record_head(ByteView head, Offset at);
// Whether `sealed` is what the (sound) head was written for.
bool matches(ByteView head, ByteView sealed);

// Sorts the entries by id; they end at `records_end`.
Bytes encode_footer(std::vector<PackEntry> entries, Offset records_end);
// An entry of a footer at `footer`; nothing in it lies outside. Error: content_altered.
Result<PackEntry> decode_entry(ByteView bytes, Offset footer);
// A checked footer: its entries are decoded on demand from bytes that somebody else keeps. Thread-safe.
class Footer {
 public:
  Footer() = default;
  // `footer` begins at `at` in the file. Error: content_altered.
  static Result<Footer> decode(ByteView footer, Offset at);
  std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size() / kFooterEntry); }
  PackEntry entry(std::uint32_t index) const;

 private:
  ByteView bytes_of(std::uint32_t index) const;
  ByteView entries_;
};
// Where the footer of a file of `size` bytes begins, from its last kTrailer bytes. Error: content_altered.
Result<Offset> decode_trailer(ByteView trailer, Size size);

struct OpenedPack;

// A closed pack, open for reading. Immutable and thread-safe. It keeps a descriptor and nothing of its footer in memory.
class Pack {
 public:
  // Checks the footer against the name. Errors, naming the file: store_damaged; read_failed, where it may well be sound but
  // cannot be opened or read now.
  static Result<OpenedPack> open(const std::filesystem::path& path);
  const std::string& name() const { return file_.name(); }
  std::string file_name() const { return std::filesystem::path(name()).filename().string(); }  // within its folder
  const File& file() const { return file_; }
  std::uint32_t size() const { return size_; }  // entries
  Offset records_end() const { return records_end_; }
  // Of the file when it was opened.
  const FileStamp& stamp() const { return stamp_; }

  // From the file; below size(), ascending by id. Errors: store_damaged, where the file was altered since it was opened;
  // read_failed.
  Result<PackEntry> entry(std::uint32_t index) const;
  // All of them.
  Result<std::vector<PackEntry>> entries() const;

  // Reads neighbouring records (entries[i].end() == entries[i + 1].record) with one call, their sealed bytes one after
  // another into `out`, which has just that size, and checks them. At most kMaxRun entries. Error: store_damaged.
  Result<> read(std::span<const PackEntry> entries, MutableBytes out) const;
  static constexpr std::size_t kMaxRun = 256;
  // The first entries that one read takes, of at most so many plain bytes; at least one, of at least one.
  static std::span<const PackEntry> next_run(std::span<const PackEntry> entries, Size most_plain = Size{UINT64_MAX});

 private:
  Pack(File file, const FileStamp& stamp, std::uint32_t size, Offset records_end)
      : file_(std::move(file)), stamp_(stamp), size_(size), records_end_(records_end) {}
  Offset entry_at(std::uint32_t index) const { return records_end_ + Size{kFooterEntry} * index; }
  Result<PackEntry> checked(ByteView bytes, std::uint32_t index) const;
  File file_;
  FileStamp stamp_;
  std::uint32_t size_;
  Offset records_end_;
};

// With its footer, as it was checked.
struct OpenedPack {
  std::shared_ptr<const Pack> pack;
  Bytes bytes;
  Footer footer;  // of the bytes
};

// "<64 hex>.pack" in `folder`, and whether a file's name is like that.
std::filesystem::path pack_path(const std::filesystem::path& folder, const chunker::Sha256& footer);
bool is_pack_name(const std::string& name);

}  // namespace stampede::cache
