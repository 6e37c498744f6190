// The receipt: the signed statement of a target about one deployment.
//
// JSON (at most kMaxReceipt bytes), signed as the exact bytes under trust::kReceiptDomain with the node's key; the depot
// keeps bytes and signature for every success, failure and refusal that reaches it.
//   { "version": 1, "deployment": "<32 hex>", "node": "<64 hex>", "name": "debian:12", "image": "<64 hex>" | "",
//     "group": "<32 hex>",   the same where several disks of a machine are written together; absent where it is one
//     "started": "2026-11-02T14:03:09Z",
//     "disk": { "selector", "path", "model", "serial", "wwn", "guid", "size", "sector_size" },   guid: as deployed
//     "base": { "path", "shared" },   a file whose content the new one was to share, and whether it does; absent without
//     "bytes": { "total", "depot", "peers", "multicast" (sealed, received), "local" (plain, kept in its place),
//                "moved" (plain, from elsewhere on the disk), "read" (of the disk, before it was written),
//                "verified", "durable" (plain), "served" (sealed) },
//     "fit": { "backup_moved" (of the GPT, to the disk's end), "grown_partition" (0: none), "grown_from", "grown_to"
//     (bytes),
//              "grown_file_system" (that grew with its partition; else ""), "fresh_uuids" },
//     "stages": [ { "name": "connect", "start": 0.0, "seconds": 0.1 }, … ],   seconds since `started`
//     "unspecified": "leave" | "discard" | "zero" | "",   what was done with free space, the disk's beyond the image too
//     "read_back": "data" | "full" | "",   zero extents by samples, or wholly; neither: it did not come to that
//     "changed_files": [ … ], "bad_peers": [ … ],     at most 100 each, then "and N more"
//     "left_multicast": false,
//     "wiped": [ … ],   marks of volume managers beyond the image's end that were zeroed; the same
//     "altered": [ [ block, "<32 hex>" ], … ],   blocks of 4 KiB edited after the image was read back, and what they are now
//                (SHA-256); absent from older receipts, and where there is no room for it
//     "verdict": "success" | "failure" | "refused", "code": 0, "error": "" }
//
// What `stampede drift` finds is a receipt as well, of the verdict "clean" or "drifted": "deployment" is the one that it
// looked at, "changed_files" are those that differ, "bytes" has "read" and "differs".
//
// Text is printable UTF-8: what is not becomes '?'. What is long is cut off, so that a receipt always fits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chunker/types.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"
#include "src/disk/selector.h"

namespace stampede::deploy {

inline constexpr Size kMaxReceipt = 256_KiB;

enum class Verdict : std::uint8_t { success, failure, refused, clean, drifted };
std::string_view name_of(Verdict verdict);

struct StageSpan {
  std::string name;
  double start = 0;  // seconds since the deployment started
  double seconds = 0;
};

struct ByteCounts {
  std::uint64_t total = 0;  // plain bytes of data in the image
  std::uint64_t depot = 0;  // sealed bytes received, by path
  std::uint64_t peers = 0;
  std::uint64_t multicast = 0;
  std::uint64_t local = 0;     // plain bytes that were in their places already
  std::uint64_t moved = 0;     // plain bytes that were elsewhere on the disk
  std::uint64_t read = 0;      // of the disk, to find those
  std::uint64_t differs = 0;   // of what was read, by blocks; of drift alone
  std::uint64_t verified = 0;  // plain bytes whose hash was right
  std::uint64_t durable = 0;   // of them flushed
  std::uint64_t served = 0;    // sealed bytes given to peers
};

struct DiskFacts {
  std::string selector, path, model, serial, wwn, guid;
  std::uint64_t size = 0;
  std::uint32_t sector_size = 0;
};

DiskFacts facts_of(const disk::Disk& disk, const disk::Selector& selector);

// A file whose content the new one was to share (disk::Needs).
struct BaseFacts {
  std::string path;
  bool shared = false;
};

// What was changed after the image, so that it fits the disk (fit.h).
struct FitFacts {
  bool backup_moved = false;
  std::uint32_t grown_partition = 0;
  std::uint64_t grown_from = 0, grown_to = 0;
  std::string grown_file_system;
  bool fresh_uuids = false;
};

// A block of 4 KiB (the last of a disk may be shorter) that is not as in the image.
struct AlteredBlock {
  using Digest = std::array<std::byte, 16>;
  std::uint64_t number = 0;
  Digest digest{};  // the head of its SHA-256
  bool operator==(const AlteredBlock&) const = default;
};
AlteredBlock::Digest digest_of_altered(ByteView block);
// Fresh UUIDs change some thousands: the checksum of every block of a file system's own hangs on them.
inline constexpr std::size_t kMostAltered = 5000;

struct Receipt {
  std::string deployment;
  std::string group;
  std::string node;
  std::string name;
  std::string image;
  std::string started;
  DiskFacts disk;
  std::optional<BaseFacts> base;
  ByteCounts bytes;
  FitFacts fit;
  std::vector<StageSpan> stages;
  std::string unspecified;  // what was done with free space: name_of(Unspecified); empty: nothing yet
  std::string read_back;    // what was read back: name_of(Verify); empty: nothing
  std::vector<std::string> changed_files;
  std::vector<std::string> bad_peers;
  bool left_multicast = false;                       // it did not keep up with the stream and got the rest otherwise
  std::optional<std::vector<AlteredBlock>> altered;  // at most kMostAltered, ascending; left out where a receipt has no room
  std::vector<std::string> wiped;
  Verdict verdict = Verdict::failure;
  std::uint8_t code = 0;  // stampede::Code, 0 for success
  std::string error;
};

Bytes encode(const Receipt& receipt);
// Errors: content_altered.
Result<Receipt> decode_receipt(ByteView bytes);

}  // namespace stampede::deploy
