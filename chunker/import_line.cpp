#include "chunker/import_line.h"

#include <algorithm>

namespace stampede::chunker {
namespace {

using State = ImportBatch::State;

constexpr std::size_t kBytes = kImportHead + kImportBatch.bytes;

void prepare(ImportBatch& batch) {
  batch.parts.clear();
  batch.items.clear();
  batch.last = false;
  batch.state = State::planned;
}

}  // namespace

ImportLine::ImportLine(std::size_t batches) : memory_(std::min(batches, kImportBuffers) * kBytes) {
  for (std::size_t at = memory_.bytes().size(); at > 0; at -= kBytes) {
    empty_.push_back(std::make_unique<ImportBatch>());
    empty_.back()->bytes = memory_.bytes().subspan(at - kBytes, kBytes);
  }
}

std::unique_ptr<ImportBatch> ImportLine::take_empty() {
  std::unique_lock lock(mutex_);
  empty_ready_.wait(lock, [&] { return stopped_ || !empty_.empty(); });
  if (stopped_) return nullptr;
  std::unique_ptr<ImportBatch> batch = std::move(empty_.back());
  empty_.pop_back();
  return batch;
}

ImportBatch* ImportLine::next_to_fetch(const Plan& plan) {
  const std::lock_guard planning(planning_);
  if (planned_) return nullptr;
  std::unique_ptr<ImportBatch> batch = take_empty();
  if (!batch) return nullptr;
  prepare(*batch);
  if (auto done = plan(*batch); !done) {
    fail_with(std::move(done).error());
    return nullptr;
  }
  planned_ = batch->last;
  const std::lock_guard lock(mutex_);
  ImportBatch* const planned = batch.get();
  to_cut_.push_back(planned);
  order_.push_back(std::move(batch));
  return planned;
}

void ImportLine::fetched(ImportBatch* batch, Result<> result) {
  if (!result) return fail_with(std::move(result).error());
  const std::lock_guard lock(mutex_);
  batch->state = State::fetched;
  fetched_ready_.notify_one();
}

ImportBatch* ImportLine::next_to_cut() {
  std::unique_lock lock(mutex_);
  fetched_ready_.wait(lock, [&] { return stopped_ || (!to_cut_.empty() && to_cut_.front()->state == State::fetched); });
  if (stopped_) return nullptr;
  ImportBatch* const batch = to_cut_.front();
  to_cut_.pop_front();
  return batch;
}

void ImportLine::cut(ImportBatch* batch) {
  const std::lock_guard lock(mutex_);
  to_work_.push_back(batch);
  work_ready_.notify_one();
}

ImportBatch* ImportLine::next_to_work() {
  std::unique_lock lock(mutex_);
  work_ready_.wait(lock, [&] { return stopped_ || !to_work_.empty(); });
  if (stopped_) return nullptr;
  ImportBatch* const batch = to_work_.front();
  to_work_.pop_front();
  return batch;
}

void ImportLine::worked(ImportBatch* batch) {
  const std::lock_guard lock(mutex_);
  batch->state = State::worked;
  if (batch == order_.front().get()) worked_ready_.notify_one();
}

Result<std::unique_ptr<ImportBatch>> ImportLine::collect() {
  std::unique_lock lock(mutex_);
  if (all_collected_) return nullptr;
  worked_ready_.wait(lock, [&] { return failed_ || (!order_.empty() && order_.front()->state == State::worked); });
  if (failed_) return std::unexpected(*failed_);
  std::unique_ptr<ImportBatch> batch = std::move(order_.front());
  order_.pop_front();
  all_collected_ = batch->last;
  return batch;
}

void ImportLine::give_back(std::unique_ptr<ImportBatch> batch) {
  const std::lock_guard lock(mutex_);
  empty_.push_back(std::move(batch));
  empty_ready_.notify_one();
}

void ImportLine::fail_with(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (!failed_) failed_ = std::move(error);
  }
  stop();
}

void ImportLine::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  empty_ready_.notify_all();
  fetched_ready_.notify_all();
  work_ready_.notify_all();
  worked_ready_.notify_all();
}

}  // namespace stampede::chunker
