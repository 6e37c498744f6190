// The line on which an import moves. Batches go out empty, are planned in disk order, fetched by several threads, cut in
// disk order by one, worked on by many, and collected in disk order. The batches are the credit: no more than kImportBuffers
// exist. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "chunker/package.h"
#include "src/base/aligned.h"

namespace stampede::chunker {

// A range of the disk: to be read (data, though it may hold zeros), or a gap.
struct ImportPart {
  ExtentKind kind = ExtentKind::zero;
  Offset at;
  Size length;
  bool apart = false;  // no chunk reaches into it from what comes before
};

// One stretch of the disk in a batch: a gap, or a chunk that lies at `at` in the batch's bytes.
struct ImportItem {
  ExtentKind kind = ExtentKind::zero;
  Size length;
  std::size_t at = 0;
  ChunkId id;                         // by the worker
  std::optional<SealedChunk> sealed;  // by the worker, where the sink lacked it
};

// What is read begins at kImportHead; before it goes what the batch before has left uncut.
inline constexpr std::size_t kImportHead = kMaxChunk.bytes;

struct ImportBatch {
  MutableBytes bytes;  // the line's, aligned for O_DIRECT: kImportHead, and kImportBatch at most
  std::vector<ImportPart> parts;
  Offset end;         // of the disk range that the parts cover
  bool last = false;  // that is the disk's end
  std::vector<ImportItem> items;
  // How far it is; guarded by the line's mutex.
  enum class State : std::uint8_t { planned, fetched, worked } state = State::planned;
};

class ImportLine {
 public:
  // `batches`: how many there are, kImportBuffers at most.
  explicit ImportLine(std::size_t batches);

  // A fetcher's side. `plan` gives an empty batch its parts; one thread at a time is in it. The batch stays the line's;
  // nothing after the last one, or once the line is stopped.
  using Plan = std::function<Result<>(ImportBatch&)>;
  ImportBatch* next_to_fetch(const Plan& plan);
  void fetched(ImportBatch* batch, Result<> result);

  // The cutter's side, in disk order.
  ImportBatch* next_to_cut();
  void cut(ImportBatch* batch);

  // A worker's side.
  ImportBatch* next_to_work();
  void worked(ImportBatch* batch);

  // The collector's side. The next batch in disk order once it was worked on; nothing after the last. Error: the first of
  // planning and fetching.
  Result<std::unique_ptr<ImportBatch>> collect();
  void give_back(std::unique_ptr<ImportBatch> batch);
  // Everybody comes back with nothing.
  void stop();

 private:
  std::unique_ptr<ImportBatch> take_empty();
  void fail_with(Error error);

  const AlignedMemory memory_;  // of all batches; a small image uses little of it
  std::mutex planning_;
  bool planned_ = false;  // all of it; guarded by planning_
  std::mutex mutex_;      // guards what follows
  std::condition_variable empty_ready_, fetched_ready_, work_ready_, worked_ready_;
  std::vector<std::unique_ptr<ImportBatch>> empty_;
  std::deque<std::unique_ptr<ImportBatch>> order_;
  std::deque<ImportBatch*> to_cut_, to_work_;
  std::optional<Error> failed_;
  bool all_collected_ = false;
  bool stopped_ = false;
};

}  // namespace stampede::chunker
