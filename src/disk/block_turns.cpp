#include "src/disk/block_turns.h"

#include <algorithm>

namespace stampede::disk {

BlockTurns::Turn BlockTurns::whole(Range blocks) {
  begin(blocks, parts_, whole_);
  return {*this, &BlockTurns::whole_, blocks};
}

BlockTurns::Turn BlockTurns::part(Range blocks) {
  begin(blocks, whole_, parts_);
  return {*this, &BlockTurns::parts_, blocks};
}

void BlockTurns::begin(Range blocks, const Ranges& others, Ranges& own) {
  const auto overlaps = [&](const Range& other) { return other.at < blocks.end() && blocks.at < other.end(); };
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] { return std::ranges::none_of(others, overlaps); });
  own.push_back(blocks);
}

void BlockTurns::end(Range blocks, Ranges& own) {
  {
    const std::scoped_lock lock(mutex_);
    own.erase(std::ranges::find(own, blocks));
  }
  ended_.notify_all();
}

}  // namespace stampede::disk
