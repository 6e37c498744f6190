#include "src/disk/slab_pool.h"

namespace stampede::disk {

Slab& Slab::operator=(Slab&& other) noexcept {
  if (this == &other) return *this;
  if (pool_ != nullptr) pool_->give_back(index_);
  pool_ = std::exchange(other.pool_, nullptr);
  index_ = other.index_;
  bytes_ = other.bytes_;
  return *this;
}

Slab::~Slab() {
  if (pool_ != nullptr) pool_->give_back(index_);
}

SlabPool::SlabPool(std::uint32_t count) : count_(count), region_(count * kSlab.bytes) {
  for (std::uint32_t i = count; i > 0; --i) free_.push_back(i - 1);
}

Slab SlabPool::try_take() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) return {};
  const std::uint32_t index = free_.back();
  free_.pop_back();
  return {this, index, memory(index)};
}

std::uint32_t SlabPool::free() const {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::uint32_t>(free_.size());
}

void SlabPool::on_free(std::function<void()> callback) {
  const std::scoped_lock lock(mutex_);
  on_free_ = std::move(callback);
}

MutableBytes SlabPool::memory(std::uint32_t index) const {
  return region_.bytes().subspan(index * kSlab.bytes, kSlab.bytes);
}

void SlabPool::give_back(std::uint32_t index) {
  std::function<void()> callback;
  {
    const std::scoped_lock lock(mutex_);
    free_.push_back(index);
    callback = on_free_;
  }
  if (callback) callback();
}

}  // namespace stampede::disk
