#include "src/service/library.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "src/service/site.h"

namespace stampede::service {

namespace {

// The sixteen bytes of a type GUID as GPT has them on disk (the first three groups little-endian), or an MBR type byte.
std::array<std::byte, 16> type_bytes(const std::string& type) {
  std::array<std::byte, 16> out{};
  if (type.starts_with("0x")) {
    unsigned value = 0;
    std::from_chars(type.data() + 2, type.data() + type.size(), value, 16);
    out[0] = static_cast<std::byte>(value);
    return out;
  }
  std::string hex = type;
  std::erase(hex, '-');
  const auto bytes = from_hex(hex);
  if (!bytes || bytes->size() != out.size()) return out;
  static constexpr std::array<std::size_t, 16> kOrder{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = (*bytes)[kOrder[i]];
  return out;
}

chunker::TableFacts table_of(const volume::ImageFacts& facts) {
  chunker::TableFacts table;
  table.sector_size = facts.sector_size;
  table.kind = facts.table == "gpt"   ? chunker::TableKind::gpt
               : facts.table == "dos" ? chunker::TableKind::mbr
                                      : chunker::TableKind::none;
  for (const auto& partition : facts.partitions) {
    if (table.partitions.size() == chunker::kMaxPartitions) break;
    table.partitions.push_back(
        {partition.number, partition.offset, partition.length, type_bytes(partition.type), partition.flags});
  }
  std::ranges::sort(table.partitions, {}, &chunker::Partition::number);
  return table;
}

Result<Found> checked(cache::Store& store, chunker::SignedTagRecord signed_record) {
  STAMPEDE_TRY(const auto signers, accepted_signers(store.folder()));
  STAMPEDE_TRY(auto record, chunker::decode_tag_record(signed_record.record));
  if (std::ranges::find(signers, signed_record.signer) == signers.end())
    return fail(Code::signer_unknown, "{} is signed by {}, who is not in {}", record.name.text(),
                trust::short_name(signed_record.signer), (store.folder() / "keys/signers").string());
  if (auto sound =
          trust::verify(signed_record.signer, trust::kTagRecordDomain, signed_record.record, signed_record.signature);
      !sound)
    return pass(std::move(sound).error(), fmt::format("the record of {}", record.name.text()));
  return Found{std::move(record), std::move(signed_record)};
}

Result<> check_image(cache::Store& store, const Found& image) {
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store.chunks(), image.record.image));
  for (const auto& segment : manifest.segments)
    for (const auto& record : segment.records)
      if (record.kind == chunker::RecordKind::data && !store.chunks().has(record.chunk))
        return fail(Code::store_damaged, "chunk {} is missing", chunker::to_string(record.chunk));
  return {};
}

}  // namespace

Result<Imported> import_image(cache::Store& store, const std::filesystem::path& file, const chunker::ImageName& name,
                              const std::function<void(Offset done, Size total)>& progress) {
  STAMPEDE_TRY(const auto signing_key, open_signing_key(store.folder()));
  STAMPEDE_TRY(const auto facts, volume::inspect(file));
  STAMPEDE_TRY(auto session, store.begin_import());
  chunker::ImportOptions options;
  options.progress = progress;
  Imported imported;
  STAMPEDE_TRY(imported.report, chunker::import_image(file, table_of(facts), *session, options));
  STAMPEDE_CHECK(session->commit());

  chunker::TagRecord& record = imported.record;
  record.name = name;
  record.image = imported.report.image;
  record.created = to_rfc3339(system_clock().unix_time());
  record.source = file.filename().string();
  record.disk_size = imported.report.disk;
  record.data_size = imported.report.data;
  record.facts = facts;
  chunker::SignedTagRecord signed_record;
  signed_record.record = chunker::encode(record);
  signed_record.signer = signing_key.public_key();
  signed_record.signature = signing_key.sign(trust::kTagRecordDomain, signed_record.record);
  STAMPEDE_TRY(imported.tagged, store.catalog().add_tag(record, signed_record));
  STAMPEDE_CHECK(store.catalog().audit("operator", "image import", name.text() + " " + chunker::to_string(record.image)));
  return imported;
}

Result<Found> find_image(cache::Store& store, const chunker::ImageName& name) {
  STAMPEDE_TRY(auto record, store.catalog().find_tag(name));
  if (!record)
    return fail(Code::not_found, "no image {} in {}; `stampede image list` shows what is", name.text(),
                store.folder().string());
  return checked(store, std::move(*record));
}

Result<std::vector<Found>> list_images(cache::Store& store) {
  STAMPEDE_TRY(auto records, store.catalog().list_tags());
  std::vector<Found> images;
  for (auto& record : records) {
    STAMPEDE_TRY(auto decoded, chunker::decode_tag_record(record.record));
    images.push_back({std::move(decoded), std::move(record)});
  }
  return images;
}

Result<StoreReport> check_store(cache::Store& store, const std::function<void(Size done, Size total)>& progress) {
  StoreReport report;
  STAMPEDE_TRY(report.packs, store.check_packs(progress));
  report.problems = report.packs.problems;
  STAMPEDE_TRY(auto records, store.catalog().list_tags());
  std::unordered_set<chunker::ChunkId> seen;
  for (auto& record : records) {
    ++report.images;
    auto image = checked(store, std::move(record));
    if (!image) {
      report.problems.push_back(image.error().message);
      continue;
    }
    if (!seen.insert(chunker::as_chunk(image->record.image)).second) continue;
    if (auto whole = check_image(store, *image); !whole)
      report.problems.push_back(fmt::format("image {}: {}", image->record.name.text(), whole.error().message));
  }
  return report;
}

}  // namespace stampede::service
