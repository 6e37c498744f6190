// The slabs of a target: one mapped region, cut into kSlab pieces, handed out last-in first-out so that few are touched
// when few are needed. Thread-safe; outlives its slabs.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "src/base/aligned.h"
#include "src/disk/target.h"

namespace stampede::disk {

class SlabPool {
 public:
  explicit SlabPool(std::uint32_t count);

  // Empty where none is free.
  Slab try_take();
  std::uint32_t free() const;
  // Called after each return, on the thread that returned the slab.
  void on_free(std::function<void()> callback);

  // The memory of slab `index`.
  MutableBytes memory(std::uint32_t index) const;
  MutableBytes memory() const { return region_.bytes(); }
  std::uint32_t count() const { return count_; }

 private:
  friend class Slab;
  void give_back(std::uint32_t index);

  const std::uint32_t count_;
  const AlignedMemory region_;
  mutable std::mutex mutex_;
  std::vector<std::uint32_t> free_;
  std::function<void()> on_free_;
};

}  // namespace stampede::disk
