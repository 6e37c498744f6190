#include "src/disk/in_progress.h"

#include <algorithm>

#include "chunker/digest.h"

namespace stampede::disk {

namespace {

constexpr std::string_view kRecordMagic = "STMPPROG";
constexpr std::string_view kMarkMagic = "STMPMARK";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kFieldsSize = 80;
constexpr std::size_t kDigestSize = 32;
constexpr std::size_t kRecordDigestAt = kInProgressSize - kDigestSize;

// Bytes 0…79, which the record and the mark share but for the magic.
Bytes encode_block(std::string_view magic, const InProgress& record, std::size_t size, std::size_t digest_at) {
  ByteWriter out(size);
  out.raw(as_bytes(magic)).u16(kVersion).u16(0).u32(0);
  out.raw(record.image.digest).raw(record.deployment);
  out.u64(static_cast<std::uint64_t>(record.started)).u64(record.disk_size.bytes);
  Bytes block = out.take();
  block.resize(size);
  const chunker::Sha256 digest = chunker::sha256(ByteView(block).first(digest_at));
  std::ranges::copy(digest, block.begin() + static_cast<std::ptrdiff_t>(digest_at));
  return block;
}

std::optional<InProgress> decode_block(std::string_view magic, ByteView block, std::size_t size, std::size_t digest_at) {
  if (block.size() < size || as_text(block.first(magic.size())) != magic) return std::nullopt;
  ByteReader in(block.first(kFieldsSize));
  in.view(magic.size());
  if (in.u16() != kVersion || in.u16() != 0 || in.u32() != 0) return std::nullopt;
  InProgress record;
  record.image.digest = in.array<32>();
  record.deployment = in.array<16>();
  record.started = static_cast<UnixTime>(in.u64());
  record.disk_size.bytes = in.u64();
  const chunker::Sha256 digest = chunker::sha256(block.first(digest_at));
  if (!std::ranges::equal(digest, block.subspan(digest_at, kDigestSize))) return std::nullopt;
  if (!all_zero(block.subspan(kFieldsSize, digest_at - kFieldsSize))) return std::nullopt;
  if (!all_zero(block.first(size).subspan(digest_at + kDigestSize))) return std::nullopt;
  return record;
}

}  // namespace

Bytes encode(const InProgress& record) { return encode_block(kRecordMagic, record, kInProgressSize, kRecordDigestAt); }

std::optional<InProgress> decode_in_progress(ByteView block) {
  return decode_block(kRecordMagic, block, kInProgressSize, kRecordDigestAt);
}

Bytes encode_mark(const InProgress& record) { return encode_block(kMarkMagic, record, kMarkSize, kFieldsSize); }

std::optional<InProgress> decode_mark(ByteView sector) { return decode_block(kMarkMagic, sector, kMarkSize, kFieldsSize); }

std::optional<InProgress> find_in_progress(ByteView head) {
  if (auto record = decode_mark(head)) return record;
  if (head.size() < kInProgressAt.bytes + kInProgressSize || !all_zero(head.first(kInProgressAt.bytes))) return std::nullopt;
  return decode_in_progress(head.subspan(kInProgressAt.bytes));
}

}  // namespace stampede::disk
