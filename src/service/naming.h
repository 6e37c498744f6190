// What an operator says of images: their names, where they come from, what they are for. Every statement is signed with the
// store's signing key; what was said before is history (cache/catalog.h). Thread-safe as the store is.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cache/store.h"
#include "chunker/tag_record.h"
#include "src/trust/keys.h"

namespace stampede::service {

// Said of an image beside its name; what is not said stays as it is.
struct Words {
  std::optional<chunker::ImageId> parent;
  std::vector<std::string> roles;             // instead of those that it has; none: as they are
  std::map<std::string, std::string> labels;  // beside those that it has; one without a value is taken away
  bool move = false;                          // the name may be another image's
};
// "KEY=VALUE" into `words`; "KEY=" takes a label away. Errors: usage, where a key or value is not as is_label() demands.
Result<> add_label(std::string_view text, Words& words);
// The record with these words. Errors: usage, where it then had a role that is none, or more roles or labels than a record
// holds.
Result<chunker::TagRecord> with_words(chunker::TagRecord record, const Words& words);

struct Tagged {
  chunker::TagRecord record;
  std::optional<chunker::ImageId> before;  // what the name was
  bool changed = false;                    // false: all that was said already, by the same key
};
// Says under its name what the record and the words say, signed now with `key`. Where the name is that image already,
// parent, roles and labels are those that it has until the words say something else; an image is not its own parent. Errors:
// tag_taken; usage, also where the record is too large.
Result<Tagged> give_name(cache::Store& store, chunker::TagRecord record, const Words& words, const trust::PrivateKey& key);
// The same of an image that has a name, for another one. Errors: also those of find_image().
Result<Tagged> tag_image(cache::Store& store, const chunker::ImageRef& source, const chunker::ImageName& target,
                         const Words& words);

struct Removed {
  std::vector<cache::TagRow> records;
  std::size_t history = 0;                      // of the name that are kept, and keep their images
  std::vector<chunker::ImageId> unreferred_to;  // by now: garbage, unless something is under way
};
// Forgets a name, with `history` also all that it was; or by an id, an image, under all names that it has and had (of
// NAME@ID, those that begin NAME:). An image that others come from, or that is being deployed, may go: children hold their
// own chunks, and what is under way its lease. Errors: not_found; usage, where an id's digits are those of several images.
Result<Removed> remove_image(cache::Store& store, const chunker::ImageRef& image, bool history);

// Another image of the same line.
struct Relative {
  chunker::ImageId image;
  std::vector<std::string> names;  // that it has; else NAME@ID, where history knows it; none: it is not in the store
};
struct Lineage {
  std::vector<std::string> names;   // of the image itself
  std::vector<Relative> ancestors;  // the parent, its parent, …: at most kMaxAncestors
  std::vector<Relative> children;   // that have a name, by image
};
inline constexpr std::size_t kMaxAncestors = 64;
Result<Lineage> lineage(cache::Store& store, const chunker::TagRecord& record);

}  // namespace stampede::service
