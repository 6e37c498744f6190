// The library of images in a store: finding one under its name, and what is known of all of them. Thread-safe as the store
// is.
#pragma once

#include <string>
#include <vector>

#include "cache/store.h"
#include "chunker/tag_record.h"

namespace stampede::service {

// The record that counts of a name, or of an id the newest: that it belongs to the name is checked, and its signature
// against the store's accepted signers. Errors: not_found, signer_unknown, signature_invalid, content_altered,
// store_damaged; usage, where an id's digits are those of several images.
struct Found {
  chunker::TagRecord record;
  chunker::SignedTagRecord signed_record;
};
Result<Found> find_image(cache::Store& store, const chunker::ImageRef& image);

// The same, and the image's lease: it stays though its tags be removed, as long as this lives. Errors: also those of the
// lease.
struct HeldImage : Found {
  cache::Lease lease = {};
};
Result<HeldImage> hold_image(cache::Store& store, const chunker::ImageRef& image);

// What can be read of every image and is signed, and a line for each record of which that cannot be said.
struct ImageList {
  std::vector<Found> images;
  std::vector<std::string> problems;
};
Result<ImageList> list_images(cache::Store& store);

// A row of the catalog, read: what it says is checked against the row, not its signature. Errors: content_altered,
// store_damaged.
Result<Found> decode(cache::TagRow row);
// The same, and its signature by a signer whom this store accepts. Errors: also signer_unknown, signature_invalid.
Result<Found> verify(cache::Store& store, cache::TagRow row);
// Whether the manifest can be read and every chunk that it names is there. Errors: store_damaged, content_altered, …
Result<> check_whole(cache::Store& store, const Found& image);

}  // namespace stampede::service
