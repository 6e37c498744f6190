#include <algorithm>
#include <atomic>
#include <thread>

#include "chunker/import_cutter.h"
#include "chunker/import_line.h"
#include "chunker/import_plan.h"
#include "chunker/import_reader.h"
#include "chunker/package.h"
#include "chunker/parallel.h"
#include "chunker/seal.h"
#include "src/base/file.h"
#include "src/base/seams.h"

namespace stampede::chunker {
namespace {

constexpr Duration kProgressEvery = std::chrono::milliseconds(100);

// Enough requests for any disk; what they wait for takes no core.
constexpr unsigned kFetchers = 8;
// Those that are cut, worked on, or wait for their turn. With no more than are needed most stay in the processor's cache.
constexpr unsigned kBatchesAWorker = 4;

Result<> fetch(const ImportReader& reader, const ImportBatch& batch) {
  std::size_t at = kImportHead;
  for (const ImportPart& part : batch.parts) {
    if (part.kind != ExtentKind::data) continue;
    if (auto read = reader.read(part.at, batch.bytes.subspan(at, part.length.bytes)); !read)
      return pass(std::move(read).error(), "importing");
    at += part.length.bytes;
  }
  return {};
}

void fetch_all(ImportLine& line, const ImportReader& reader, ImportPlan& plan) {
  const auto next = [&](ImportBatch& batch) { return plan.next(batch); };
  while (ImportBatch* const batch = line.next_to_fetch(next)) line.fetched(batch, fetch(reader, *batch));
}

void cut_all(ImportLine& line) {
  ImportCutter cutter;
  for (bool last = false; !last;) {
    ImportBatch* const batch = line.next_to_cut();
    if (batch == nullptr) return;
    cutter.cut(*batch);
    last = batch->last;  // whoever works on it may be through with it before cut() returns
    line.cut(batch);
  }
}

// What the sink has is recognised, and the rest is named (digest.h). While most of it is new it is named at once, so that
// little is hashed twice.
class Namer {
 public:
  explicit Namer(ChunkSink& sink) : sink_(sink) {}

  struct Named {
    std::vector<VerifiedChunk> chunks;
    std::vector<bool> known;
  };
  Named name(std::span<const ByteView> data) {
    Named out;
    if (recognises_) out.chunks = digester_.recognise(data);
    for (std::size_t i = out.chunks.size(); i < data.size(); ++i) out.chunks.push_back(digester_.name(data[i]));
    std::vector<ChunkId> ids;
    for (const VerifiedChunk& chunk : out.chunks) ids.push_back(chunk.id());
    out.known = sink_.have(ids);
    for (std::size_t i = 0; recognises_ && i < data.size(); ++i)
      if (!out.known[i]) out.chunks[i] = digester_.name(data[i]);
    if (!data.empty()) recognises_ = 2 * std::ranges::count(out.known, true) >= std::ssize(data);
    return out;
  }

 private:
  ChunkSink& sink_;
  Digester digester_;
  bool recognises_ = true;
};

void work(ImportLine& line, ChunkSink& sink, int level, const std::function<void()>& lacking) {
  Namer namer(sink);
  Sealer sealer(level);
  while (ImportBatch* const batch = line.next_to_work()) {
    std::vector<ByteView> data;
    for (const ImportItem& item : batch->items)
      if (item.kind == ExtentKind::data) data.push_back(ByteView(batch->bytes).subspan(item.at, item.length.bytes));
    const auto [chunks, known] = namer.name(data);
    std::size_t next = 0;
    for (ImportItem& item : batch->items) {
      if (item.kind != ExtentKind::data) continue;
      const std::size_t i = next++;
      item.id = chunks[i].id();
      if (known[i]) continue;
      lacking();
      item.sealed = sealer.seal(chunks[i]);
    }
    line.worked(batch);
  }
}

// The root with its table, encoded. What nobody could read back must not be stored.
Result<Bytes> readable_root(Root& root, const TableFacts& table) {
  root.sector_size = table.sector_size;
  root.table = table.kind;
  root.partitions = table.partitions;
  Bytes bytes = encode(root);
  if (const auto decoded = decode_root(bytes); !decoded)
    return fail(Code::usage, "the image's partition table cannot be described: {}", decoded.error().message);
  return bytes;
}

// Puts what comes off the line into the sink and the manifest, in disk order.
class Collector {
 public:
  Collector(ChunkSink& sink, const TableFacts& table, int level)
      : sink_(sink), sealer_(level), builder_(table.sector_size, [this](const ChunkId&, ByteView bytes) -> Result<> {
          STAMPEDE_CHECK(put_object(bytes));
          return {};
        }) {}

  Result<> take(ImportItem& item) {
    report.disk += item.length;
    if (item.kind != ExtentKind::data) {
      (item.kind == ExtentKind::zero ? report.zero : report.unspecified) += item.length;
      return builder_.add_extent(item.kind, item.length);
    }
    report.data += item.length;
    STAMPEDE_CHECK(builder_.add_chunk(item.id, item.length));
    // Another batch may have brought the same chunk since a worker asked.
    if (!item.sealed || sink_.has(item.id)) {
      report.shared_data += item.length;
      ++report.shared_chunks;
      return {};
    }
    report.new_data += item.length;
    report.new_sealed += Size{item.sealed->bytes.size()};
    ++report.new_chunks;
    return sink_.put(*std::move(item.sealed));
  }

  Result<> finish(const TableFacts& table) {
    STAMPEDE_TRY(report.root, builder_.finish());
    STAMPEDE_TRY(const Bytes bytes, readable_root(report.root, table));
    STAMPEDE_TRY(const ChunkId id, put_object(bytes));
    report.image = {id.digest};
    return {};
  }

  ImportReport report;

 private:
  Result<ChunkId> put_object(ByteView bytes) {
    const VerifiedChunk object = digester_.name(bytes);
    STAMPEDE_CHECK(sink_.put(sealer_.seal(object)));
    return object.id();
  }

  ChunkSink& sink_;
  Digester digester_;
  Sealer sealer_;
  ManifestBuilder builder_;
};

// The collector's part of the line, on the calling thread.
Result<> collect(ImportLine& line, Collector& collector, const std::function<bool()>& interrupted,
                 const std::function<void(Offset)>& progress) {
  Instant last = system_clock().now();
  while (true) {
    if (interrupted && interrupted()) return fail(Code::interrupted, "interrupted by a signal");
    STAMPEDE_TRY(auto batch, line.collect());
    if (!batch) return {};
    for (ImportItem& item : batch->items) STAMPEDE_CHECK(collector.take(item));
    if (const Instant now = system_clock().now(); now - last >= kProgressEvery) {
      progress(batch->end);
      last = now;
    }
    line.give_back(std::move(batch));
  }
}

// Blocks that were read before and after a change are no disk that ever was. A device's times do not tell.
Result<> check_unchanged(const File& file, Size size, const FileStamp& before) {
  STAMPEDE_TRY(const FileStamp now, file.stamp());
  STAMPEDE_TRY(const Size size_now, file.size());
  if (size_now != size || (before.regular && now != before))
    return fail(Code::read_failed, "{} changed while it was read; import it when nobody writes it", file.name());
  return {};
}

}  // namespace

Result<ImportReport> import_image(const File& file, const TableFacts& table, ChunkSink& sink, const ImportOptions& options) {
  Root empty;
  STAMPEDE_CHECK(readable_root(empty, table));
  STAMPEDE_TRY(const Size size, file.size());
  STAMPEDE_TRY(const FileStamp before, file.stamp());
  const auto progress = [&](Offset done) {
    if (options.progress) options.progress(done, size);
  };

  ImportPlan plan(file, size, options.unspecified, options.off_grid);
  const ImportReader reader(file, size);
  ImportLine line(kFetchers + std::size_t{kBatchesAWorker} * thread_count(options.threads));
  Collector collector(sink, table, options.level);
  std::atomic_flag lacked;
  const auto lacking = [&] {
    if (options.first_new && !lacked.test_and_set()) options.first_new();
  };
  Result<> collected;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kFetchers; ++i) threads.emplace_back([&] { fetch_all(line, reader, plan); });
    threads.emplace_back([&] { cut_all(line); });
    for (unsigned i = thread_count(options.threads); i > 0; --i)
      threads.emplace_back([&] { work(line, sink, options.level, lacking); });
    collected = collect(line, collector, options.interrupted, progress);
    line.stop();
  }
  STAMPEDE_CHECK(collected);
  STAMPEDE_CHECK(check_unchanged(file, size, before));
  STAMPEDE_CHECK(collector.finish(table));
  collector.report.left_out = plan.left_out();
  progress({size.bytes});
  return std::move(collector.report);
}

}  // namespace stampede::chunker
