// The codecs of pack.h: bytes to values and back, no files.
#include <algorithm>

#include "cache/pack.h"
#include "chunker/xxh3.h"

namespace stampede::cache {
namespace {

constexpr std::string_view kPackMagic = "STMPPACK";
constexpr std::string_view kRecordMagic = "CHNK";
constexpr std::string_view kFooterMagic = "STMPFOOT";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kSealedCheckAt = 48;
constexpr std::size_t kHeadCheckAt = 56;
constexpr unsigned kCodecShift = 28;
static_assert(chunker::kMaxObject.bytes < 1U << kCodecShift);

template <class... Args>
std::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::content_altered, format, std::forward<Args>(args)...);
}

bool is_possible(const PackEntry& entry) {
  const bool raw = entry.codec == chunker::Codec::raw;
  return (raw || entry.codec == chunker::Codec::zstd) && entry.plain_size <= chunker::kMaxObject.bytes &&
         entry.sealed_size > 0 && (raw ? entry.sealed_size == entry.plain_size : entry.sealed_size < entry.plain_size);
}

PackEntry read_entry(ByteView bytes) {
  PackEntry entry;
  std::memcpy(entry.id.digest.data(), bytes.data(), entry.id.digest.size());
  entry.record = {load_le<std::uint64_t>(bytes.subspan(32))};
  entry.sealed_size = load_le<std::uint32_t>(bytes.subspan(40));
  const auto plain = load_le<std::uint32_t>(bytes.subspan(44));
  entry.plain_size = plain & ((1U << kCodecShift) - 1);
  entry.codec = static_cast<chunker::Codec>(plain >> kCodecShift);
  return entry;
}

}  // namespace

Bytes encode_pack_head() {
  ByteWriter out(kPackHead);
  out.raw(as_bytes(kPackMagic)).u16(kVersion).raw(std::array<std::byte, 6>{});
  return out.take();
}

bool is_pack_head(ByteView bytes) { return std::ranges::equal(bytes, encode_pack_head()); }

RecordHead encode_record_head(const chunker::SealedChunk& chunk) {
  ByteWriter out(kRecordHead);
  out.raw(as_bytes(kRecordMagic)).u8(static_cast<std::uint8_t>(chunk.codec)).u8(0).u16(0);
  out.u32(chunk.plain_size).u32(static_cast<std::uint32_t>(chunk.bytes.size())).raw(chunk.id.digest);
  out.u64(chunker::xxh3_64(chunk.bytes));
  out.u64(chunker::xxh3_64(out.bytes()));
  RecordHead head;
  std::ranges::copy(out.bytes(), head.begin());
  return head;
}

Result<PackEntry> decode_record_head(ByteView head, Offset at) {
  if (head.size() != kRecordHead) return bad("a record's head is cut short");
  if (load_le<std::uint64_t>(head.subspan(kHeadCheckAt)) != chunker::xxh3_64(head.first(kHeadCheckAt)))
    return bad("no sound record");
  ByteReader in(head);
  if (as_text(in.view(kRecordMagic.size())) != kRecordMagic) return bad("no record");
  PackEntry entry{.id = {}, .record = at};
  entry.codec = static_cast<chunker::Codec>(in.u8());
  if (in.u8() != 0 || in.u16() != 0) return bad("reserved bytes of a record are not zero");
  entry.plain_size = in.u32();
  entry.sealed_size = in.u32();
  entry.id = {in.array<32>()};
  if (!is_possible(entry)) return bad("a record of {} bytes for {}", entry.sealed_size, entry.plain_size);
  return entry;
}

bool matches(ByteView head, ByteView sealed) {
  return load_le<std::uint64_t>(head.subspan(kSealedCheckAt)) == chunker::xxh3_64(sealed);
}

Bytes encode_footer(std::vector<PackEntry> entries, Offset records_end) {
  std::ranges::sort(entries, {}, &PackEntry::id);
  ByteWriter out(entries.size() * kFooterEntry + kTrailer);
  for (const PackEntry& entry : entries) {
    out.raw(entry.id.digest).u64(entry.record.bytes).u32(entry.sealed_size);
    out.u32(entry.plain_size | static_cast<std::uint32_t>(entry.codec) << kCodecShift);
  }
  out.u64(entries.size()).u64(records_end.bytes).u16(kVersion).raw(std::array<std::byte, 6>{}).raw(as_bytes(kFooterMagic));
  return out.take();
}

Result<Offset> decode_trailer(ByteView trailer, Size size) {
  ByteReader in(trailer);
  const std::uint64_t count = in.u64();
  const Offset footer{in.u64()};
  const std::uint16_t version = in.u16();
  const ByteView reserved = in.view(6);
  if (as_text(in.view(kFooterMagic.size())) != kFooterMagic || !in.ok_and_empty()) return bad("no footer at its end");
  if (version != kVersion) return bad("footer version {} is unknown here", version);
  if (!all_zero(reserved)) return bad("reserved bytes of the footer are not zero");
  if (count == 0 || count > kPackEntries) return bad("a footer of {} entries", count);
  const std::uint64_t length = count * kFooterEntry + kTrailer;
  if (length > size.bytes || footer.bytes != size.bytes - length || footer.bytes < kPackHead)
    return bad("a footer of {} entries at byte {} of {}", count, footer.bytes, size.bytes);
  return footer;
}

Result<Footer> Footer::decode(ByteView footer, Offset at) {
  if (footer.size() < kTrailer) return bad("no footer at its end");
  STAMPEDE_TRY(const Offset begin, decode_trailer(footer.last(kTrailer), Size{at.bytes + footer.size()}));
  if (begin != at) return bad("a footer at byte {} instead of {}", begin.bytes, at.bytes);
  Footer out;
  out.entries_ = footer.first(footer.size() - kTrailer);
  std::optional<PackEntry> before;
  for (std::uint32_t i = 0; i < out.size(); ++i) {
    auto entry = decode_entry(out.bytes_of(i), at);
    if (!entry) return pass(std::move(entry).error(), fmt::format("entry {} of the footer", i));
    if (before && before->id >= entry->id) return bad("entry {} of the footer is out of order", i);
    before = *entry;
  }
  return out;
}

ByteView Footer::bytes_of(std::uint32_t index) const {
  return entries_.subspan(std::size_t{index} * kFooterEntry, kFooterEntry);
}

PackEntry Footer::entry(std::uint32_t index) const { return read_entry(bytes_of(index)); }

Result<PackEntry> decode_entry(ByteView bytes, Offset footer) {
  const PackEntry entry = read_entry(bytes);
  if (!is_possible(entry)) return bad("a record of {} bytes for {}", entry.sealed_size, entry.plain_size);
  // Written so that no sum can overflow.
  if (entry.record.bytes < kPackHead || entry.record.bytes > footer.bytes ||
      kRecordHead + entry.sealed_size > footer.bytes - entry.record.bytes)
    return bad("a record that lies outside");
  return entry;
}

}  // namespace stampede::cache
