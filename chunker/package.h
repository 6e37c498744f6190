// Packaging and unpacking: the pipelines between a raw disk image and a store.
//
// Import: read (holes by SEEK_HOLE, zero blocks by comparison, what is unspecified not at all) by several threads → cut →
// [workers: digest → known already? → seal] → sink, in disk order. Bounded: kImportBuffers batches of kImportBatch bytes are
// under way at most.
#pragma once

#include <filesystem>
#include <functional>

#include "chunker/manifest.h"
#include "chunker/seal.h"
#include "chunker/source.h"
#include "src/base/error.h"
#include "src/base/file.h"
#include "src/base/range.h"

namespace stampede::chunker {

inline constexpr Size kImportBatch = 1_MiB;
inline constexpr std::size_t kImportBuffers = 32;
// Batches with the run that each may take over, and what becomes of them: sealed chunks are no longer than plain ones.
inline constexpr Size kImportMemory = (kImportBatch + kMaxChunk) * kImportBuffers * 2;
static_assert(kImportMemory <= 80_MiB);

// What packaging found; bytes are plain unless they are called sealed.
struct ImportReport {
  ImageId image;
  Root root;
  Size disk;         // the image's size
  Size zero;         // holes and zero blocks
  Size unspecified;  // what was not read because it is free
  Size left_out;     // of that, what the file stores (of a device, all of it)
  Size data;         // the rest
  Size new_data;     // of chunks that the store lacked
  Size shared_data;  // of chunks that it had, or that repeat within the image
  Size new_sealed;   // what the new chunks take in packs
  std::uint64_t new_chunks = 0;
  std::uint64_t shared_chunks = 0;
};

struct ImportOptions {
  unsigned threads = 0;  // 0: as many as there are cores
  int level = kDefaultLevel;
  // What is free on the disk, in order and apart from each other: whole 4 KiB blocks in it become unspecified.
  std::vector<Range> unspecified = {};
  // What does not lie on the disk's grid of 4 KiB blocks (volume/off_grid.h), in order and apart from each other, at whole
  // sectors: each is cut by itself, in blocks counted from its own beginning.
  std::vector<Range> off_grid = {};
  // Called about ten times a second from the calling thread with the disk offset reached and the image's size.
  std::function<void(Offset done, Size total)> progress;
  // Asked often, from the calling thread and by who packages from others: true ends the import with `interrupted`.
  std::function<bool()> interrupted = {};
  // Called once, from a worker, when the first chunk comes that the sink lacks; not at all where it has all of them.
  std::function<void()> first_new = {};
};

// Packages the raw image `file`, a regular file or a block device open for reading, into `sink`: chunks, segments, and the
// root record last. `table` facts (kind, partitions, sector size) go into the root, and are refused before anything is read
// if it cannot hold them. Does not commit the sink. Errors: usage, read_failed, no_space, … A file that changes while it is
// read is an error (of a device only the size is known).
struct TableFacts {
  TableKind kind = TableKind::none;
  std::uint32_t sector_size = 512;
  std::vector<Partition> partitions;
};
Result<ImportReport> import_image(const File& file, const TableFacts& table, ChunkSink& sink, const ImportOptions& options);

// Reads a manifest from `source`, verifying every record against its id. Where `accept` has something against the root, that
// is the error, before anything is allocated for its segments. Memory: the manifest, and 12 bytes for each data record.
// Errors: not_found, content_altered, store_damaged.
using AcceptRoot = std::function<Result<>(const Root&)>;
Result<Manifest> load_manifest(ChunkSource& source, const ImageId& id, const AcceptRoot& accept = {});

// The same piece by piece, for who must not hold a whole manifest: each record is verified against its id, and what it shows
// by itself is checked. Errors: as above; a segment that is not there is store_damaged.
Result<Root> load_root(ChunkSource& source, const ImageId& id);
Result<Segment> load_segment(ChunkSource& source, const SegmentRef& ref);

struct ExportOptions {
  unsigned threads = 0;
  std::function<void(Offset done, Size total)> progress;
  // Asked often, from several threads: true ends the export with `interrupted`.
  std::function<bool()> interrupted = {};
};
// Writes the image into `output`, a new file (refused if it exists): sparse, byte-exact, every chunk verified, flushed. It
// has another name in the same folder until then; a failure removes it. Unspecified extents are left as holes.
Result<> export_image(const Manifest& manifest, ChunkSource& source, const std::filesystem::path& output,
                      const ExportOptions& options);

}  // namespace stampede::chunker
