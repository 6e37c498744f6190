// The line on which an import moves: batches go out empty, come back filled in disk order from one reader, are worked on by
// many, and are collected in disk order. The batches are the credit: no more than kImportBuffers exist. Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "chunker/package.h"

namespace stampede::chunker {

// One stretch of the disk in a batch: zeros, or a chunk that lies at `at` in the batch's buffer.
struct ImportItem {
  ExtentKind kind = ExtentKind::zero;
  Size length;
  std::size_t at = 0;
  ChunkId id;                         // by the worker
  std::optional<SealedChunk> sealed;  // by the worker, where the sink lacked it
};

struct ImportBatch {
  Bytes buffer;  // kImportBatch long
  Offset end;    // of the disk range that the items cover
  std::vector<ImportItem> items;
  bool worked = false;  // guarded by the line's mutex
};

class ImportLine {
 public:
  ImportLine();

  // The reader's side. An empty batch; nothing once the line is stopped.
  std::unique_ptr<ImportBatch> take_empty();
  void submit(std::unique_ptr<ImportBatch> batch);
  // There are no more batches, for the reason given.
  void end(Result<> result);

  // The workers' side. The batch stays the line's; nothing once there is no more work.
  ImportBatch* take_work();
  void finish(ImportBatch* batch);

  // The collector's side. The next batch in disk order once it was worked on; nothing after the last, or the reader's error.
  Result<std::unique_ptr<ImportBatch>> collect();
  void give_back(std::unique_ptr<ImportBatch> batch);
  // Everybody comes back with nothing.
  void stop();

 private:
  std::mutex mutex_;
  std::condition_variable empty_ready_, work_ready_, batch_ready_;
  std::vector<std::unique_ptr<ImportBatch>> empty_;
  std::deque<std::unique_ptr<ImportBatch>> order_;
  std::deque<ImportBatch*> work_;
  std::optional<Result<>> ended_;
  bool stopped_ = false;
};

}  // namespace stampede::chunker
