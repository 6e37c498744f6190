// The image that a disk was given, as its last receipt names it: its manifest tells where chunks are that the new image
// has too, so that a survey need not read the whole disk to find them. It is a hint and no more: what is kept is hashed
// first, and so is what is moved.
#pragma once

#include <span>
#include <vector>

#include "src/base/range.h"
#include "src/deploy/moves.h"
#include "src/deploy/plan.h"

namespace stampede::deploy {

// Its data ranges that are compared with the disk, evenly spread, and so many that have to be right: a machine has written
// to some of its files since.
inline constexpr std::size_t kFormerSampled = 64;
inline constexpr std::size_t kFormerRight = 58;

class Former {
 public:
  // Takes the manifest apart as it goes. Memory (memory.h): 16 bytes for each data record that the plan has too, 16 for each
  // range, and a vector's room to grow.
  Former(const Plan& plan, chunker::Manifest manifest);

  // Is that still what is on the disk? Not where it cannot be told. Error: interrupted.
  Result<bool> is_there(disk::Target& target) const;
  // Of Plan::places(), those where it has the same chunk as the plan.
  const std::vector<bool>& same_places() const { return same_; }
  // Those whose chunk it has nowhere.
  std::vector<std::uint32_t> other_places(const Plan& plan) const;
  // Of ranges in use, what it calls free: something was written there since.
  std::vector<Range> written_since(const std::vector<Range>& used) const { return without(used, told_); }
  // A move is added to those that a scan found for every chunk that neither the plan holds nor they bring and that it has
  // somewhere: not where begin() writes, nor where a scan saw something else. `wrong`: of Plan::places(), those. Once.
  void add_moves(const Plan& plan, const disk::Target& target, const std::vector<bool>& wrong, std::vector<Move>& moves) &&;

 private:
  void add(const Plan& plan, Offset at, const chunker::Record& record);

  std::vector<bool> same_;
  std::vector<Move> chunks_;  // of the plan, where it has them: in disk order
  std::vector<Range> told_;   // data and zeros
  std::vector<disk::Expected> sample_;
};

}  // namespace stampede::deploy
