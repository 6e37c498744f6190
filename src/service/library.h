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
  bool tagged = false;  // false: this very image had the name already
};

// Packages `file` and names it. Errors: those of the file, and tag_taken, where the name is another image (the chunks that
// were new are kept; nothing refers to them).
Result<Imported> import_image(cache::Store& store, const std::filesystem::path& file, const chunker::ImageName& name,
                              const std::function<void(Offset done, Size total)>& progress);

// The record of a name, its signature checked against the store's accepted signers. Errors: not_found, signer_unknown,
// signature_invalid, content_altered.
struct Found {
  chunker::TagRecord record;
  chunker::SignedTagRecord signed_record;
};
Result<Found> find_image(cache::Store& store, const chunker::ImageName& name);
Result<std::vector<Found>> list_images(cache::Store& store);

// Every chunk re-hashed, every manifest read and every chunk that it names looked up, every signature checked.
struct StoreReport {
  cache::StoreCheck packs;
  std::uint64_t images = 0;
  std::vector<std::string> problems;  // of packs, manifests, records
};
Result<StoreReport> check_store(cache::Store& store, const std::function<void(Size done, Size total)>& progress);

}  // namespace stampede::service
