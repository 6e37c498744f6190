// The image that a disk held before, as its last receipt names it: its manifest tells where chunks are that the new image
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
// to some of its files since, and another image that has the same GUID has next to none.
inline constexpr std::size_t kFormerSampled = 64;
inline constexpr std::size_t kFormerRight = 58;

class Former {
 public:
  // Takes the manifest apart as it goes. Memory: less than half of that.
  Former(const Plan& plan, chunker::Manifest manifest);

  // Is that still what is on the disk? Errors: those of Target::compare(), but for read_failed: then it is not.
  Result<bool> is_there(disk::Target& target) const;
  // Of Plan::places(), those where it has the same chunk as the plan.
  const std::vector<bool>& same_places() const { return same_; }
  // Of ranges in use, what it says nothing of, and was written since.
  std::vector<Range> written_since(const std::vector<Range>& used) const { return without(used, told_); }
  // A move for every chunk that neither the plan holds nor one of `moves` brings and that it has somewhere, where begin()
  // does not write, is added to them.
  void add_moves(const Plan& plan, const disk::Target& target, std::vector<Move>& moves) const;

 private:
  void add(const Plan& plan, Offset at, const chunker::Record& record);

  std::vector<bool> same_;
  std::vector<Move> chunks_;  // of the plan, where it has them: in disk order
  std::vector<Range> told_;   // data and zeros
  std::vector<disk::Expected> sample_;
};

}  // namespace stampede::deploy
