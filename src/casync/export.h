// An image of ours as a casync index and a folder of chunk files, for casync, desync, RAUC, or a plain web server.
#pragma once

#include <filesystem>

#include "chunker/package.h"
#include "chunker/source.h"
#include "src/casync/index.h"

namespace stampede::casync {

struct Exported {
  std::uint64_t chunks = 0;      // in the index
  std::uint64_t new_chunks = 0;  // files that the store lacked
  Size new_bytes;                // of those files
};

// Writes what `store` lacks of the image's chunks (a chunk's file that is there is kept as it is), every one verified, and
// then `index`, a new file (refused if it exists): who sees it has all of its chunks, also after a crash. Files and folders
// get the modes that the umask leaves. Memory: a batch of 4096 chunks' ids, and a chunk for each thread. Errors: usage,
// not_found, content_altered, store_damaged, read_failed, write_failed, no_space, interrupted.
Result<Exported> export_index(chunker::ChunkSource& source, const chunker::ImageId& image,
                              const std::filesystem::path& index, const std::filesystem::path& store,
                              const chunker::ExportOptions& options);

}  // namespace stampede::casync
