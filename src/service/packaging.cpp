#include "src/service/packaging.h"

#include <algorithm>
#include <charconv>

#include "src/service/library.h"
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

// What can be said before the image is read. Sizes and id stand for those to come: they do not make the record invalid, nor
// noticeably longer.
Result<chunker::TagRecord> describe(const std::string& source, const chunker::ImageName& name, volume::ImageFacts facts) {
  if (facts.partitions.size() > chunker::kMaxPartitions)
    return fail(Code::usage, "{} has {} partitions; an image has {} at most", source, facts.partitions.size(),
                chunker::kMaxPartitions);
  chunker::TagRecord record;
  record.name = name;
  record.created = to_rfc3339(system_clock().unix_time());
  record.source = source;
  record.facts = std::move(facts);
  auto longest = record;
  longest.disk_size = longest.data_size = {UINT64_MAX};
  if (const auto readable = chunker::decode_tag_record(chunker::encode(longest)); !readable)
    return fail(Code::usage, "{} cannot be described: {}", source, readable.error().message);
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

// What was stored, and what keeps it from the garbage collection until its tag does.
struct Stored {
  chunker::ImportReport report;
  std::unique_ptr<cache::ImportSession> session;
  cache::Lease lease = {};
};

Result<Stored> store_anew(cache::Store& store, const std::filesystem::path& file, const chunker::TableFacts& table,
                          const chunker::ImportOptions& options) {
  STAMPEDE_TRY(auto session, store.begin_import());
  STAMPEDE_TRY(auto report, chunker::import_image(file, table, *session, options));
  STAMPEDE_CHECK(session->commit());
  return Stored{std::move(report), std::move(session)};
}

// Under a name that is taken the image must be the one that it has; what the store holds of it already is not stored again.
Result<Stored> import_again(cache::Store& store, const Found& taken, const std::filesystem::path& file,
                            const chunker::TableFacts& table, const chunker::ImportOptions& options) {
  Discard discard;
  STAMPEDE_TRY(auto report, chunker::import_image(file, table, discard, options));
  if (report.image != taken.record.image)
    return fail(Code::tag_taken, "{} is already image {}; choose another tag", taken.record.name.text(),
                chunker::to_string(taken.record.image));
  STAMPEDE_CHECK(store.refresh());
  STAMPEDE_TRY(auto lease, store.lease(report.image));
  STAMPEDE_TRY(const auto still, store.catalog().find_tag(taken.record.name));
  if (still && still->image == report.image && check_whole(store, taken))
    return Stored{std::move(report), nullptr, std::move(lease)};
  return store_anew(store, file, table, options);
}

Result<Stored> store_image(cache::Store& store, const std::filesystem::path& file, const chunker::ImageName& name,
                           const chunker::TableFacts& table, const chunker::ImportOptions& options) {
  STAMPEDE_TRY(auto taken, store.catalog().find_tag(name));
  if (taken) {
    STAMPEDE_TRY(const auto found, decode(std::move(*taken)));
    return import_again(store, found, file, table, options);
  }
  return store_anew(store, file, table, options);
}

}  // namespace

Result<Imported> import_image(cache::Store& store, const ImageSource& source, const chunker::ImageName& name,
                              const chunker::ImportOptions& options) {
  STAMPEDE_TRY(auto facts, volume::inspect(source.path));
  const chunker::TableFacts table = table_of(facts);
  Imported imported;
  chunker::TagRecord& record = imported.record;
  STAMPEDE_TRY(record, describe(source.name, name, std::move(facts)));
  STAMPEDE_TRY(const auto signing_key, open_signing_key(store.folder()));
  STAMPEDE_TRY(Stored stored, store_image(store, source.path, name, table, options));
  imported.report = std::move(stored.report);
  record.image = imported.report.image;
  record.disk_size = imported.report.disk;
  record.data_size = imported.report.data;
  STAMPEDE_TRY(imported.tagged, store.catalog().add_tag(record, sign(record, signing_key)));
  STAMPEDE_CHECK(store.catalog().audit("operator", "image import", name.text() + " " + chunker::to_string(record.image)));
  return imported;
}

}  // namespace stampede::service
