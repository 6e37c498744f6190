#include "src/service/packaging.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <functional>
#include <future>

#include "src/base/text.h"
#include "src/service/generalised.h"
#include "src/service/library.h"
#include "src/service/site.h"
#include "src/volume/free_space.h"
#include "src/volume/id_mentions.h"
#include "src/volume/lint.h"
#include "src/volume/off_grid.h"

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

// Labels and paths come from disks; a record has room for some.
std::optional<std::vector<volume::Finding>> recorded(const Result<volume::Lint>& lint) {
  constexpr std::size_t kMostPath = 256;
  if (!lint) return std::nullopt;
  std::vector<volume::Finding> out(
      lint->findings.begin(),
      lint->findings.begin() + static_cast<std::ptrdiff_t>(std::min(lint->findings.size(), kMostRecorded)));
  for (volume::Finding& one : out) one.path = printable(one.path.substr(0, kMostPath));
  return out;
}

Result<volume::Lint> look_for_identity(const std::filesystem::path& file, const volume::ImageFacts& facts) {
  STAMPEDE_TRY(const auto blocks, volume::open_blocks(file, false));
  return volume::lint(*blocks, facts);
}

// What can be said before the image is read.
Result<chunker::TagRecord> describe(const std::string& source, const chunker::ImageName& name, volume::ImageFacts facts) {
  if (facts.partitions.size() > chunker::kMaxPartitions)
    return fail(Code::usage, "{} has {} partitions; an image has {} at most", source, facts.partitions.size(),
                chunker::kMaxPartitions);
  chunker::TagRecord record;
  record.name = name;
  record.created = to_rfc3339(system_clock().unix_time());
  record.source = source;
  record.facts = std::move(facts);
  return record;
}

// What is not known yet stands for itself at its longest; the id always has its length.
chunker::TagRecord at_its_longest(chunker::TagRecord record) {
  record.disk_size = record.data_size = {UINT64_MAX};
  record.tagged = record.created;
  return record;
}

// Of what lint has found as much as the record has room for beside the words.
Result<> record_lint(chunker::TagRecord& record, const Result<volume::Lint>& lint, const Words& words) {
  auto& findings = record.facts.lint = recorded(lint);
  while (findings && !findings->empty()) {
    STAMPEDE_TRY(auto worded, with_words(record, words));
    if (chunker::encode(at_its_longest(std::move(worded))).size() <= chunker::kMaxTagRecord.bytes) break;
    findings->pop_back();
    if (findings->empty()) findings.reset();  // nothing is not what was found
  }
  return {};
}

Result<> check_describable(chunker::TagRecord record) {
  record = at_its_longest(std::move(record));
  record.facts.fixed_ids.emplace(volume::kMostReasons, std::string(volume::kMostReason, '"'));
  if (const auto readable = chunker::decode_tag_record(chunker::encode(record)); !readable)
    return fail(Code::usage, "{} cannot be described: {}", record.source, readable.error().message);
  return {};
}

// For learning an image's id alone.
class Discard final : public chunker::ChunkSink {
 public:
  bool has(const chunker::ChunkId& /*id*/) override { return true; }
  Result<> put(chunker::SealedChunk /*chunk*/) override { return {}; }
};

// ImageFacts::fixed_ids.
using FixedIds = std::optional<std::vector<std::string>>;

// What was stored, and what keeps it from the garbage collection until its tag does.
struct Stored {
  chunker::ImportReport report = {};
  std::unique_ptr<cache::ImportSession> session = {};
  cache::Lease lease = {};
};

Result<Stored> store_anew(cache::Store& store, const File& file, const chunker::TableFacts& table,
                          const chunker::ImportOptions& options) {
  STAMPEDE_TRY(auto session, store.begin_import());
  STAMPEDE_TRY(auto report, chunker::import_image(file, table, *session, options));
  STAMPEDE_CHECK(session->commit());
  return Stored{std::move(report), std::move(session)};
}

// Under a name that is taken the image must be the one that it has; what the store holds of it already is not stored again.
// Where that was cut by blocks alone, as all were before there was a cut off their grid, this is too: the same disk is it
// still.
Result<Stored> import_again(cache::Store& store, const Found& taken, const File& file, const chunker::TableFacts& table,
                            chunker::ImportOptions options) {
  if (const auto root = chunker::load_root(store.chunks(), taken.record.image); root && !root->off_grid)
    options.off_grid.clear();
  Discard discard;
  STAMPEDE_TRY(auto report, chunker::import_image(file, table, discard, options));
  if (report.image != taken.record.image)
    return fail(Code::tag_taken, "{} is already image {}; choose another tag, or move it with --move",
                taken.record.name.text(), chunker::to_string(taken.record.image));
  STAMPEDE_CHECK(store.refresh());
  STAMPEDE_TRY(auto lease, store.lease(report.image));
  STAMPEDE_TRY(const auto still, store.catalog().find_tag(taken.record.name));
  if (still && still->image == report.image && check_whole(store, taken))
    return Stored{std::move(report), nullptr, std::move(lease)};
  return store_anew(store, file, table, options);
}

Result<Stored> store_image(cache::Store& store, const File& file, const chunker::ImageName& name,
                           const chunker::TableFacts& table, const chunker::ImportOptions& options, bool move) {
  STAMPEDE_TRY(auto taken, store.catalog().find_tag(name));
  if (taken && !move) {
    STAMPEDE_TRY(const auto found, decode(std::move(*taken)));
    return import_again(store, found, file, table, options);
  }
  return store_anew(store, file, table, options);
}

// Where what is packaged goes, and what was said there of an image that had no chunk that is new.
struct Into {
  std::function<Result<chunker::ImportReport>(const File&, const chunker::TableFacts&, const chunker::ImportOptions&)> store;
  std::function<FixedIds(const chunker::ImageId&)> fixed_ids = {};
};

// As this store found by the same look: what others say is not repeated under its own key.
FixedIds known_fixed_ids(cache::Store& store, const chunker::ImageId& image, const trust::PublicKey& own) {
  chunker::ImageRef exactly;
  exactly.id = chunker::to_string(image);
  const auto found = find_image(store, exactly);
  const bool ours = found && found->signed_record.signer == own && found->record.facts.fixed_ids_by == volume::kIdSearch;
  return ours ? found->record.facts.fixed_ids : std::nullopt;
}

// What packaging is wherever it goes. `disk` is the source's own, or a copy that is packaged instead.
Result<Imported> package(const ImageSource& source, const std::filesystem::path& disk, const chunker::ImageName& name,
                         const PackagingOptions& options, const Into& into) {
  Imported imported;
  chunker::ImportOptions import = options.import;
  // Both read here and there, and wait for it. Where it is refused the other one need not be waited for.
  std::atomic<bool> refused = false;
  auto free = std::async(options.all_blocks ? std::launch::deferred : std::launch::async, [&] {
    return volume::find_free_space(
        disk, [&] { return !refused && (!options.import.interrupted || !options.import.interrupted()); });
  });
  const struct GiveUp {
    ~GiveUp() { refused = true; }
    std::atomic<bool>& refused;
  } give_up{refused};
  STAMPEDE_TRY(auto facts, volume::inspect(disk, false));
  const chunker::TableFacts table = table_of(facts);
  chunker::TagRecord& record = imported.record;
  STAMPEDE_TRY(record, describe(source.name, name, std::move(facts)));
  STAMPEDE_TRY(auto worded, with_words(record, options.words));
  STAMPEDE_CHECK(check_describable(std::move(worded)));
  if (!options.all_blocks) {
    STAMPEDE_TRY(auto found, free.get());
    import.unspecified = std::move(found.ranges);
    imported.taken_whole = std::move(found.taken_whole);
  }
  if (table.sector_size == chunker::kSector.bytes) {
    STAMPEDE_TRY(import.off_grid, volume::find_off_grid(disk));
  }
  File own;
  const bool held = source.file && disk == source.path;
  if (!held) {
    STAMPEDE_TRY(own, File::open(disk, O_RDONLY));
  }
  // Small reads that wait for the disk one after the other: beside what is read anyway. Whole initramfs are unpacked for the
  // ids, which takes as long as half of an import that brings nothing new: it waits for what is new.
  auto lint = std::async(std::launch::async, [&] { return look_for_identity(disk, record.facts); });
  std::future<Result<std::vector<std::string>>> fixed_ids;
  const auto look = [&] {
    fixed_ids = std::async(std::launch::async, [&] { return volume::find_fixed_ids(disk, record.facts); });
  };
  if (into.fixed_ids)
    import.first_new = look;
  else
    look();
  auto report = into.store(held ? source.file : own, table, import);
  imported.lint = lint.get();
  STAMPEDE_TRY(imported.report, std::move(report));
  record.image = imported.report.image;
  if (!fixed_ids.valid()) record.facts.fixed_ids = into.fixed_ids(record.image);
  if (!record.facts.fixed_ids) {
    if (!fixed_ids.valid()) look();
    STAMPEDE_TRY(record.facts.fixed_ids, fixed_ids.get());
  }
  record.facts.fixed_ids_by = volume::kIdSearch;
  STAMPEDE_CHECK(record_lint(record, imported.lint, options.words));
  record.disk_size = imported.report.disk;
  record.data_size = imported.report.data;
  return imported;
}

}  // namespace

Result<Imported> import_image(cache::Store& store, const ImageSource& source, const chunker::ImageName& name,
                              const PackagingOptions& options) {
  File copy;
  std::filesystem::path disk = source.path;
  if (options.generalise && !source.is_spool) {
    STAMPEDE_TRY(copy, unnamed_copy(store.folder(), source.path, {.interrupted = options.import.interrupted}));
    disk = copy.path();
  }
  decltype(Imported::generalised) generalised;
  if (options.generalise) {
    STAMPEDE_TRY(generalised, generalise_spool(disk, source.name));
  }
  std::optional<trust::PrivateKey> signing_key;
  Stored stored;
  const auto put = [&](const File& file, const chunker::TableFacts& table,
                       const chunker::ImportOptions& import) -> Result<chunker::ImportReport> {
    STAMPEDE_TRY(signing_key, open_signing_key(store.folder()));
    STAMPEDE_TRY(stored, store_image(store, file, name, table, import, options.words.move));
    return stored.report;
  };
  const auto known = [&](const chunker::ImageId& image) { return known_fixed_ids(store, image, signing_key->public_key()); };
  STAMPEDE_TRY(auto imported, package(source, disk, name, options, {put, known}));
  imported.generalised = std::move(generalised);
  STAMPEDE_TRY(auto tagged, give_name(store, std::move(imported.record), options.words, *signing_key));
  imported.record = std::move(tagged.record);
  imported.tagged = tagged.changed;
  const chunker::TagRecord& record = imported.record;
  STAMPEDE_CHECK(store.catalog().audit("operator", "image import", name.text() + " " + chunker::to_string(record.image)));
  return imported;
}

Result<Imported> package_image(const ImageSource& source, const chunker::ImageName& name, const PackagingOptions& options,
                               chunker::ChunkSink& sink) {
  return package(source, source.path, name, options,
                 {[&](const File& file, const chunker::TableFacts& table, const chunker::ImportOptions& import) {
                   return chunker::import_image(file, table, sink, import);
                 }});
}

}  // namespace stampede::service
