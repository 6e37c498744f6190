// Packaging: a disk image becomes an image in a store, under a name, signed.
#pragma once

#include <filesystem>

#include "cache/store.h"
#include "chunker/package.h"
#include "chunker/tag_record.h"

namespace stampede::service {

struct Imported {
  chunker::ImportReport report;
  chunker::TagRecord record;
  bool tagged = false;  // false: this very image had the name already, signed by the same key
};

// What to package: a raw disk, and what its tag record says that it came from. A path alone is its own name.
struct ImageSource {
  ImageSource(const std::filesystem::path& disk) : path(disk), name(disk.filename().string()) {}
  ImageSource(std::filesystem::path disk, std::string of) : path(std::move(disk)), name(std::move(of)) {}
  std::filesystem::path path;
  std::string name;
};

// Packages `source` and names it, with the store's signing key, which is made at first use. Errors: those of the disk;
// usage, where manifest or tag record cannot describe it; tag_taken, where the name is another image. Nothing is stored
// before all that is known (but for a tag that another process takes meanwhile: then chunks are kept to which nothing
// refers).
Result<Imported> import_image(cache::Store& store, const ImageSource& source, const chunker::ImageName& name,
                              const chunker::ImportOptions& options);

}  // namespace stampede::service
