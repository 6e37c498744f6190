// The library of images in a store: packaging one under a name, finding one, checking all of them. What the `image` and
// `store` commands do, without their printing.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cache/store.h"
#include "chunker/package.h"
#include "chunker/tag_record.h"

namespace stampede::service {

struct Imported {
  chunker::ImportReport report;
  chunker::TagRecord record;
  bool tagged = false;  // false: this very image had the name already, signed by the same key
};

// Packages `file` and names it, with the store's signing key, which is made at first use. Errors: those of the file; usage,
// where manifest or tag record cannot describe it; tag_taken, where the name is another image. Nothing is stored before all
// that is known (but for a tag that another process takes meanwhile: then chunks are kept to which nothing refers).
Result<Imported> import_image(cache::Store& store, const std::filesystem::path& file, const chunker::ImageName& name,
                              const chunker::ImportOptions& options);

// The newest record of a name: that it belongs to the name is checked, and its signature against the store's accepted
// signers. Errors: not_found, signer_unknown, signature_invalid, content_altered, store_damaged.
struct Found {
  chunker::TagRecord record;
  chunker::SignedTagRecord signed_record;
};
Result<Found> find_image(cache::Store& store, const chunker::ImageName& name);

// What can be read of every image, and a line for each record that cannot.
struct ImageList {
  std::vector<Found> images;
  std::vector<std::string> problems;
};
Result<ImageList> list_images(cache::Store& store);

// Every chunk re-hashed, every manifest read and every chunk that it names looked up, the signatures of all records and
// receipts checked, and the catalog's file.
struct StoreReport {
  cache::StoreCheck packs;
  std::uint64_t images = 0;
  std::vector<std::string> problems;  // of packs, manifests, records, receipts, the catalog
};
Result<StoreReport> check_store(cache::Store& store, const std::function<void(Size done, Size total)>& progress);

}  // namespace stampede::service
