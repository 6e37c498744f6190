#include "chunker/import_line.h"

namespace stampede::chunker {

ImportLine::ImportLine() {
  // The buffers are made when they are first needed: a small image takes few.
  for (std::size_t i = 0; i < kImportBuffers; ++i) empty_.push_back(std::make_unique<ImportBatch>());
}

std::unique_ptr<ImportBatch> ImportLine::take_empty() {
  std::unique_ptr<ImportBatch> batch;
  {
    std::unique_lock lock(mutex_);
    empty_ready_.wait(lock, [&] { return stopped_ || !empty_.empty(); });
    if (stopped_) return nullptr;
    batch = std::move(empty_.back());
    empty_.pop_back();
  }
  batch->buffer.resize(kImportBatch.bytes);
  batch->items.clear();
  batch->worked = false;
  return batch;
}

void ImportLine::submit(std::unique_ptr<ImportBatch> batch) {
  const std::lock_guard lock(mutex_);
  work_.push_back(batch.get());
  order_.push_back(std::move(batch));
  work_ready_.notify_one();
}

void ImportLine::end(Result<> result) {
  const std::lock_guard lock(mutex_);
  ended_ = std::move(result);
  work_ready_.notify_all();
  batch_ready_.notify_all();
}

ImportBatch* ImportLine::take_work() {
  std::unique_lock lock(mutex_);
  work_ready_.wait(lock, [&] { return stopped_ || ended_ || !work_.empty(); });
  if (stopped_ || work_.empty()) return nullptr;
  ImportBatch* const batch = work_.front();
  work_.pop_front();
  return batch;
}

void ImportLine::finish(ImportBatch* batch) {
  const std::lock_guard lock(mutex_);
  batch->worked = true;
  if (batch == order_.front().get()) batch_ready_.notify_one();
}

Result<std::unique_ptr<ImportBatch>> ImportLine::collect() {
  std::unique_lock lock(mutex_);
  batch_ready_.wait(lock, [&] { return order_.empty() ? ended_.has_value() : order_.front()->worked; });
  if (order_.empty()) {
    if (!*ended_) return pass(ended_->error());
    return nullptr;
  }
  std::unique_ptr<ImportBatch> batch = std::move(order_.front());
  order_.pop_front();
  return batch;
}

void ImportLine::give_back(std::unique_ptr<ImportBatch> batch) {
  const std::lock_guard lock(mutex_);
  empty_.push_back(std::move(batch));
  empty_ready_.notify_one();
}

void ImportLine::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  empty_ready_.notify_all();
  work_ready_.notify_all();
}

}  // namespace stampede::chunker
