// What a disk says of itself: hostile bytes are no record, and what is one is encoded again to the same bytes. Since no
// fuzzer finds a digest, the input is also tried with the magic and the digest put right.
#include <algorithm>
#include <cstdlib>

#include "chunker/digest.h"
#include "src/disk/in_progress.h"
#include "src/disk/journal.h"

namespace stampede::disk {
namespace {

void check(ByteView bytes) {
  if (const auto record = decode_in_progress(bytes))
    if (!std::ranges::equal(encode(*record), bytes.first(kInProgressSize))) std::abort();
  if (const auto record = decode_mark(bytes))
    if (!std::ranges::equal(encode_mark(*record), bytes.first(kMarkSize))) std::abort();
  find_in_progress(bytes);
  if (const auto record = decode_journal(bytes)) {
    const Bytes again = encode_journal(*record);
    if (!std::ranges::equal(again, bytes.first(again.size()))) std::abort();
  }
}

void check_with_digest(ByteView input, std::string_view magic, std::size_t size, std::size_t digest_at) {
  Bytes block(size);
  std::ranges::copy(input.first(std::min(input.size(), size)), block.begin());
  std::ranges::copy(as_bytes(magic), block.begin());
  std::ranges::copy(chunker::sha256(ByteView(block).first(digest_at)),
                    block.begin() + static_cast<std::ptrdiff_t>(digest_at));
  check(block);
}

void check_journal_with_digest(ByteView input) {
  Bytes slot(std::max<std::size_t>(input.size(), kJournalHead.bytes));
  std::ranges::copy(input, slot.begin());
  std::ranges::copy(as_bytes("STMPJRNL"), slot.begin());
  const std::size_t bitmap = std::min<std::size_t>((load_le<std::uint32_t>(ByteView(slot).subspan(64)) + 7ULL) / 8,
                                                   slot.size() - kJournalHead.bytes);
  Bytes hashed = copy(ByteView(slot).first(96));
  const ByteView bits = ByteView(slot).subspan(kJournalHead.bytes, bitmap);
  hashed.insert(hashed.end(), bits.begin(), bits.end());
  std::ranges::copy(chunker::sha256(hashed), slot.begin() + 96);
  check(slot);
}

}  // namespace
}  // namespace stampede::disk

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  const ByteView bytes = std::as_bytes(std::span(data, size));
  disk::check(bytes);
  disk::check_with_digest(bytes, "STMPPROG", disk::kInProgressSize, 4064);
  disk::check_with_digest(bytes, "STMPMARK", disk::kMarkSize, 80);
  disk::check_journal_with_digest(bytes);
  return 0;
}
