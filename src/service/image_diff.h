// What differs between two images of a store: bytes by partition, from their manifests, and files, where a partition of the
// same number is ext2/3/4 in both.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cache/store.h"
#include "chunker/manifest_diff.h"
#include "src/service/library.h"
#include "src/service/tree_diff.h"

namespace stampede::service {

struct ImageDiffOptions : TreeDiffOptions {
  bool files = true;
  // Every file that differs, as it is found; the partition's number is 0 where the file system fills the disk.
  std::function<void(unsigned partition, FileChange)> each = [](unsigned, const FileChange&) {};
};

struct ImageDiff {
  chunker::ManifestDiff bytes;
  std::vector<std::string> unseen;  // partitions that differ and whose files were not compared, and why
};

// Memory: both manifests, and compare_trees'. A file system that cannot be compared is not an error. Errors: those of
// loading the manifests; interrupted; content_altered, store_damaged, not_found where a chunk cannot be had.
Result<ImageDiff> diff_images(cache::Store& store, const Found& before, const Found& after, const ImageDiffOptions& options);

}  // namespace stampede::service
