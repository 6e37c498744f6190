#include "src/service/library.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "src/deploy/receipt.h"
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
  for (const auto& partition : facts.partitions)
    table.partitions.push_back(
        {partition.number, partition.offset, partition.length, type_bytes(partition.type), partition.flags});
  std::ranges::sort(table.partitions, {}, &chunker::Partition::number);
  return table;
}

Result<Found> decoded(cache::TagRow row) {
  auto record = chunker::decode_tag_record(row.record);
  if (!record) return pass(std::move(record).error(), fmt::format("the record of {}", row.name.text()));
  // A record that is sound in itself may have been put under another name.
  if (record->name != row.name || record->image != row.image)
    return fail(Code::store_damaged, "the catalog has {} as image {}, but its record speaks of {} as {}", row.name.text(),
                chunker::to_string(row.image), record->name.text(), chunker::to_string(record->image));
  return Found{*std::move(record), std::move(row)};
}

Result<Found> checked(cache::Store& store, cache::TagRow row) {
  STAMPEDE_TRY(const auto signers, accepted_signers(store.folder()));
  STAMPEDE_TRY(auto found, decoded(std::move(row)));
  const auto& [record, signed_record] = found;
  if (std::ranges::find(signers, signed_record.signer) == signers.end())
    return fail(Code::signer_unknown, "{} is signed by {}, who is not in {}", record.name.text(),
                trust::short_name(signed_record.signer), (store.folder() / "keys/signers").string());
  if (auto sound =
          trust::verify(signed_record.signer, trust::kTagRecordDomain, signed_record.record, signed_record.signature);
      !sound)
    return pass(std::move(sound).error(), fmt::format("the record of {}", record.name.text()));
  return found;
}

// What can be said before the image is read. Sizes and id stand for those to come: they do not make the record invalid, nor
// noticeably longer.
Result<chunker::TagRecord> describe(const std::filesystem::path& file, const chunker::ImageName& name,
                                    volume::ImageFacts facts) {
  if (facts.partitions.size() > chunker::kMaxPartitions)
    return fail(Code::usage, "{} has {} partitions; an image has {} at most", file.string(), facts.partitions.size(),
                chunker::kMaxPartitions);
  chunker::TagRecord record;
  record.name = name;
  record.created = to_rfc3339(system_clock().unix_time());
  record.source = file.filename().string();
  record.facts = std::move(facts);
  auto longest = record;
  longest.disk_size = longest.data_size = {UINT64_MAX};
  if (const auto readable = chunker::decode_tag_record(chunker::encode(longest)); !readable)
    return fail(Code::usage, "{} cannot be described: {}", file.string(), readable.error().message);
  return record;
}

chunker::SignedTagRecord sign(const chunker::TagRecord& record, const trust::PrivateKey& key) {
  chunker::SignedTagRecord signed_record;
  signed_record.record = chunker::encode(record);
  signed_record.signer = key.public_key();
  signed_record.signature = key.sign(trust::kTagRecordDomain, signed_record.record);
  return signed_record;
}

// For learning an image's id alone.
class Discard final : public chunker::ChunkSink {
 public:
  bool has(const chunker::ChunkId& /*id*/) override { return true; }
  Result<> put(chunker::SealedChunk /*chunk*/) override { return {}; }
};

Result<> check_image(cache::Store& store, const Found& image) {
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store.chunks(), image.record.image));
  for (const auto& segment : manifest.segments)
    for (const auto& record : segment.records)
      if (record.kind == chunker::RecordKind::data && !store.chunks().has(record.chunk))
        return fail(Code::store_damaged, "chunk {} is missing", chunker::to_string(record.chunk));
  return {};
}

// Under a name that is taken the image must be the one that it has; what the store holds of it already is not stored again.
Result<chunker::ImportReport> import_again(cache::Store& store, const Found& taken, const std::filesystem::path& file,
                                           const chunker::TableFacts& table, const chunker::ImportOptions& options) {
  Discard discard;
  STAMPEDE_TRY(auto report, chunker::import_image(file, table, discard, options));
  if (report.image != taken.record.image)
    return fail(Code::tag_taken, "{} is already image {}; choose another tag", taken.record.name.text(),
                chunker::to_string(taken.record.image));
  STAMPEDE_TRY(auto session, store.begin_import());  // which also looks at what packs there are now
  if (check_image(store, taken)) return report;
  STAMPEDE_TRY(report, chunker::import_image(file, table, *session, options));
  STAMPEDE_CHECK(session->commit());
  return report;
}

Result<chunker::ImportReport> store_image(cache::Store& store, const std::filesystem::path& file,
                                          const chunker::ImageName& name, const chunker::TableFacts& table,
                                          const chunker::ImportOptions& options) {
  STAMPEDE_TRY(auto taken, store.catalog().find_tag(name));
  if (taken) {
    STAMPEDE_TRY(const auto found, decoded(std::move(*taken)));
    return import_again(store, found, file, table, options);
  }
  STAMPEDE_TRY(auto session, store.begin_import());
  STAMPEDE_TRY(auto report, chunker::import_image(file, table, *session, options));
  STAMPEDE_CHECK(session->commit());
  return report;
}

void check_receipts(cache::Store& store, std::vector<std::string>& problems) {
  const auto rows = store.catalog().list_receipts();
  if (!rows) return problems.push_back(rows.error().message);
  for (const auto& row : *rows) {
    const auto bad = [&](std::string_view why) { problems.push_back(fmt::format("receipt {}: {}", row.number, why)); };
    if (const auto sound = trust::verify(row.node, trust::kReceiptDomain, row.receipt, row.signature); !sound)
      bad(sound.error().message);
    else if (const auto receipt = deploy::decode_receipt(row.receipt); !receipt)
      bad(receipt.error().message);
    else if (receipt->node != trust::to_string(row.node) || deploy::name_of(receipt->verdict) != row.verdict)
      bad("the catalog says something else of it than the receipt itself");
  }
}

}  // namespace

Result<Imported> import_image(cache::Store& store, const std::filesystem::path& file, const chunker::ImageName& name,
                              const chunker::ImportOptions& options) {
  STAMPEDE_TRY(auto facts, volume::inspect(file));
  const chunker::TableFacts table = table_of(facts);
  Imported imported;
  chunker::TagRecord& record = imported.record;
  STAMPEDE_TRY(record, describe(file, name, std::move(facts)));
  STAMPEDE_TRY(const auto signing_key, open_signing_key(store.folder()));
  STAMPEDE_TRY(imported.report, store_image(store, file, name, table, options));
  record.image = imported.report.image;
  record.disk_size = imported.report.disk;
  record.data_size = imported.report.data;
  STAMPEDE_TRY(imported.tagged, store.catalog().add_tag(record, sign(record, signing_key)));
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

Result<ImageList> list_images(cache::Store& store) {
  STAMPEDE_TRY(auto rows, store.catalog().list_tags());
  ImageList list;
  for (auto& row : rows) {
    if (auto found = decoded(std::move(row)))
      list.images.push_back(*std::move(found));
    else
      list.problems.push_back(found.error().message);
  }
  return list;
}

Result<StoreReport> check_store(cache::Store& store, const std::function<void(Size done, Size total)>& progress) {
  StoreReport report;
  STAMPEDE_TRY(report.packs, store.check_packs(progress));
  report.problems = report.packs.problems;
  STAMPEDE_TRY(const auto catalog, store.catalog().check());
  report.problems.insert(report.problems.end(), catalog.begin(), catalog.end());
  check_receipts(store, report.problems);
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
