#include "src/service/library.h"

#include <algorithm>

#include "chunker/package.h"
#include "src/deploy/tag_signature.h"
#include "src/service/site.h"

namespace stampede::service {

Result<Found> decode(cache::TagRow row) {
  auto record = chunker::decode_tag_record(row.record);
  if (!record) return pass(std::move(record).error(), fmt::format("the record of {}", row.name.text()));
  // A record that is sound in itself may have been put under another name.
  if (record->name != row.name || record->image != row.image)
    return fail(Code::store_damaged, "the catalog has {} as image {}, but its record speaks of {} as {}", row.name.text(),
                chunker::to_string(row.image), record->name.text(), chunker::to_string(record->image));
  return Found{*std::move(record), std::move(row)};
}

Result<Found> verify(cache::Store& store, cache::TagRow row) {
  STAMPEDE_TRY(const auto signers, accepted_signers(store.folder()));
  STAMPEDE_TRY(auto found, decode(std::move(row)));
  const auto& [record, signed_record] = found;
  if (std::ranges::find(signers, signed_record.signer) == signers.end())
    return fail(Code::signer_unknown, "{} is signed by {}, who is not in {}", record.name.text(),
                trust::short_name(signed_record.signer), (store.folder() / "keys/signers").string());
  if (auto sound = deploy::check_signature(signed_record); !sound)
    return pass(std::move(sound).error(), fmt::format("the record of {}", record.name.text()));
  return found;
}

Result<> check_whole(cache::Store& store, const Found& image) {
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store.chunks(), image.record.image));
  for (const auto& segment : manifest.segments)
    for (const auto& record : segment.records)
      if (record.kind == chunker::RecordKind::data && !store.chunks().has(record.chunk))
        return fail(Code::store_damaged, "chunk {} is missing", chunker::to_string(record.chunk));
  return {};
}

Result<Found> find_image(cache::Store& store, const chunker::ImageRef& image) {
  STAMPEDE_TRY(auto record, store.catalog().find_tag(image));
  if (!record)
    return fail(Code::not_found, "no image {} in {}; `stampede image list` shows what is", image.text(),
                store.folder().string());
  return verify(store, std::move(*record));
}

Result<HeldImage> hold_image(cache::Store& store, const chunker::ImageRef& image) {
  while (true) {
    STAMPEDE_TRY(const auto found, find_image(store, image));
    STAMPEDE_TRY(auto lease, store.lease(found.record.image));
    // Only what is still there once it is held is kept.
    STAMPEDE_TRY(auto still, find_image(store, image));
    if (still.record.image == found.record.image) return HeldImage{std::move(still), std::move(lease)};
  }
}

Result<ImageList> list_images(cache::Store& store) {
  STAMPEDE_TRY(auto rows, store.catalog().list_tags());
  ImageList list;
  for (auto& row : rows) {
    if (auto found = verify(store, std::move(row)))
      list.images.push_back(*std::move(found));
    else
      list.problems.push_back(found.error().message);
  }
  return list;
}

}  // namespace stampede::service
