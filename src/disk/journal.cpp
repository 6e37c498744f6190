#include "src/disk/journal.h"

#include <algorithm>

#include "chunker/digest.h"

namespace stampede::disk {

namespace {

constexpr std::string_view kMagic = "STMPJRNL";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kFieldsSize = 96;
constexpr std::size_t kReserved = 28;

chunker::Sha256 digest_of(ByteView fields, ByteView bitmap) {
  Bytes all = copy(fields);
  all.insert(all.end(), bitmap.begin(), bitmap.end());
  return chunker::sha256(all);
}

}  // namespace

Bytes encode_journal(const JournalRecord& record) {
  ByteWriter out;
  out.raw(as_bytes(kMagic)).u16(kVersion).u16(0).u32(0).u64(record.sequence);
  out.raw(record.image.digest).u64(record.disk_size.bytes).u32(record.durable.size()).raw(Bytes(kReserved));
  Bytes block = out.take();
  const ByteView bitmap = record.durable.bytes();
  const chunker::Sha256 digest = digest_of(block, bitmap);
  block.insert(block.end(), digest.begin(), digest.end());
  block.insert(block.end(), bitmap.begin(), bitmap.end());
  return block;
}

std::optional<JournalRecord> decode_journal(ByteView slot) {
  if (slot.size() < kJournalHead.bytes || as_text(slot.first(kMagic.size())) != kMagic) return std::nullopt;
  ByteReader in(slot.first(kFieldsSize));
  in.view(kMagic.size());
  if (in.u16() != kVersion || in.u16() != 0 || in.u32() != 0) return std::nullopt;
  JournalRecord record;
  record.sequence = in.u64();
  record.image.digest = in.array<32>();
  record.disk_size.bytes = in.u64();
  const std::uint32_t spans = in.u32();
  const std::size_t bytes = (std::size_t{spans} + 7) / 8;
  if (bytes > slot.size() - kJournalHead.bytes || spans > kJournalSpans) return std::nullopt;
  const ByteView bitmap = slot.subspan(kJournalHead.bytes, bytes);
  if (!all_zero(slot.subspan(kFieldsSize - kReserved, kReserved))) return std::nullopt;
  if (!std::ranges::equal(digest_of(slot.first(kFieldsSize), bitmap), slot.subspan(kFieldsSize, 32))) return std::nullopt;
  auto durable = Bitmap::from_bytes(spans, bitmap);
  if (!durable) return std::nullopt;
  record.durable = std::move(*durable);
  return record;
}

}  // namespace stampede::disk
