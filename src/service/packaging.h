// Packaging: a disk image becomes an image in a store, under a name, signed.
#pragma once

#include <filesystem>

#include "cache/store.h"
#include "chunker/package.h"
#include "chunker/tag_record.h"
#include "src/service/naming.h"
#include "src/volume/generalise.h"
#include "src/volume/lint.h"

namespace stampede::service {

// Findings of lint that a tag record holds at most; more are only told of.
inline constexpr std::size_t kMostRecorded = 32;

struct PackagingOptions {
  chunker::ImportOptions import = {};
  // Free space too (volume/free_space.h): all of the disk, as it is.
  bool all_blocks = false;
  // Package a copy from which what copies must not share is removed (generalised.h).
  bool generalise = false;
  Words words = {};  // said of the image, and whether the name may be another image's
};

struct Imported {
  chunker::ImportReport report;
  chunker::TagRecord record;
  Result<volume::Lint> lint;  // of what was packaged; an error where the image could not be looked at
  std::optional<volume::Generalised> generalised;
  bool tagged = false;  // false: this very image had the name already, signed by the same key, and no new words
  std::vector<std::string> taken_whole;  // a line for each partition whose free space is not known, and why
};

// What to package: a raw disk, and what its tag record says that it came from. A path alone is its own name.
struct ImageSource {
  ImageSource(const std::filesystem::path& disk) : path(disk), name(disk.filename().string()) {}
  ImageSource(std::filesystem::path disk, std::string of, bool spool = false, File held = {})
      : path(std::move(disk)), name(std::move(of)), is_spool(spool), file(std::move(held)) {}
  std::filesystem::path path;
  std::string name;
  bool is_spool = false;  // nobody else's: it may be edited
  File file;              // that it is read by, where it was opened already
};

// Packages `source`, which is only read unless it is a spool, and names it, with the store's signing key, which is made at
// first use. Errors: those of the disk; usage, where manifest or tag record cannot describe it; tag_taken, where the name is
// another image. Nothing is stored before all that is known (but for a tag that another process takes meanwhile: then chunks
// are kept to which nothing refers).
Result<Imported> import_image(cache::Store& store, const ImageSource& source, const chunker::ImageName& name,
                              const PackagingOptions& options);

// The same into a sink of the caller's, who commits it, signs the record and names the image: nothing is tagged. The source
// is taken as it is, whatever the options say of generalising.
Result<Imported> package_image(const ImageSource& source, const chunker::ImageName& name, const PackagingOptions& options,
                               chunker::ChunkSink& sink);

}  // namespace stampede::service
