#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "cache/pack_recovery.h"
#include "cache/pack_salvage.h"
#include "chunker/xxh3.h"

// The input is what a crash left of a pack. So that inputs get past the checks, those of the first records are put right.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stampede;
  using namespace stampede::cache;
  Bytes bytes = encode_pack_head();
  const ByteView input = std::as_bytes(std::span(data, size));
  bytes.insert(bytes.end(), input.begin(), input.end());
  for (std::size_t at = kPackHead, i = 0; i < 4 && at + kRecordHead <= bytes.size(); ++i) {
    const MutableBytes head = MutableBytes(bytes).subspan(at, kRecordHead);
    const std::size_t sealed = load_le<std::uint32_t>(head.subspan(12));
    const std::size_t end = at + kRecordHead + sealed;
    if (end <= bytes.size()) store_le(head.subspan(48), chunker::xxh3_64(ByteView(bytes).subspan(at + kRecordHead, sealed)));
    store_le(head.subspan(56), chunker::xxh3_64(head.first(56)));
    at = end;
  }
  static const File file(::memfd_create("pack", 0), "pack");
  if (!file.truncate({0}) || !file.write_at({}, bytes)) std::abort();
  const auto found = scan_records(file);
  if (!found || found->end.bytes > bytes.size()) std::abort();
  Offset end{kPackHead};
  for (const PackEntry& entry : found->entries) {
    if (entry.record != end) std::abort();
    end = entry.end();
  }
  if (end != found->end) std::abort();
  // Whoever looks behind damage too finds these at least.
  std::size_t sound = 0;
  const auto scanned = scan_all(file, [&](const PackEntry& entry, ByteView sealed) {
    if (entry.end().bytes > bytes.size() || sealed.size() != entry.sealed_size) std::abort();
    ++sound;
    return Result<>();
  });
  if (!scanned || sound < found->entries.size()) std::abort();
  return 0;
}
