// The most memory that a target takes: written down, and refused before it is taken. 256 MiB are enough for 25 GiB full of
// chunks of their mean length, everything else at its worst, and that is what a target makes do with where it can: the cache
// of what it serves to others has what the image leaves. A larger image takes what it needs, if the machine has that.
//
// While a deployment looks at its disk nothing is written and no spans are under way: the scan reads into the slabs, and
// what it takes besides (scan.h) is less than those will. Beside it all, for each peer that asks for spans faster than it
// takes them, what transport/net/peer_links.h says; and the kernel's buffers of sockets.
#pragma once

#include <algorithm>
#include <optional>

#include "chunker/manifest.h"
#include "chunker/multi_buffer.h"
#include "src/deploy/scan.h"

namespace stampede::deploy {

inline constexpr Size kTargetMemory = 256_MiB;
// Sealed spans kept to serve to others.
inline constexpr Size kLeastCache = 8_MiB, kMostCache = 64_MiB;
// Of a target's writer, and the spans that may be under way to it.
inline constexpr std::uint32_t kSlabs = 32;

// The program, its libraries, its threads' stacks and what they allocate and free, zstd's and TLS's contexts.
inline constexpr Size kProgramMemory = 40_MiB;
// Threads that open what arrives; more would not be faster than a disk.
inline constexpr unsigned kMostOpeners = 16;
// Slabs, as much sealed and unverified, spans that multicast puts together, the commit region as it was and will be, and
// what those need who hash: openers, and as many who move.
inline constexpr Size kBufferMemory = Size{disk::kSlab.bytes * 2 * kSlabs} + 24_MiB + 4_MiB + 512_KiB +
                                      Size{std::uint64_t{2} * kMostOpeners * chunker::MultiBufferSha256::kMemory.bytes};
static_assert(kMostScanThreads * (kScanPiece + kScanOverlap).bytes < kBufferMemory.bytes);

// Of a data record, when moves are put in order: a SpanChunk (48), a Place (24), a fingerprint (16), its number in a table
// (12) and for the order (4), where the disk has it (8), two moves (32) and when they may be made (12), where it is read
// (24), that it is held, bits and its share of a span (17). Before that it is less: while the manifest is taken apart a
// record (48) more, and none of what is for moves.
inline constexpr std::uint64_t kMemoryOfData = 197;
// Of any other record: as a repeat a Place (24), a Repeat (16) and bits; as an extent 24, twice where free space is zeroed.
inline constexpr std::uint64_t kMemoryOfOther = 48;
static_assert(sizeof(chunker::SpanChunk) == 48 && sizeof(Place) == 24 && sizeof(chunker::Extent) == 24 &&
              sizeof(chunker::Record) == 48 && sizeof(Move) == 16);

constexpr Size most_memory(std::uint64_t data_records, std::uint64_t other_records, Size cache) {
  return kProgramMemory + kBufferMemory + cache + Size{data_records * kMemoryOfData + other_records * kMemoryOfOther};
}
static_assert(most_memory((25_GiB).bytes / (64_KiB).bytes, 0, kLeastCache) < kTargetMemory);

// A former image (former.h) beside the plan: its manifest, 60 bytes for each record, has the room that the moves take later
// (96 of kMemoryOfData), and at least what multicast does; what is left of it while they are put in order, 24 for each
// range, the latter's and that of where the moves read.
inline constexpr std::uint64_t kFormerRecords = 65536;
static_assert(kFormerRecords * 60 < (24_MiB).bytes);
// Error: busy, where there is not so much room beside a plan of so many chunks.
Result<> former_beside(const chunker::Root& former, std::size_t chunks);

// How much the cache may take beside this image, of `limit`; of kTargetMemory where none is given, and then at most
// kMostCache. Error: busy, where the image alone is too much: for the limit, or for what the machine, or the control
// group that it runs in, has left.
Result<Size> cache_beside(const chunker::Root& image, std::optional<Size> limit);

}  // namespace stampede::deploy
