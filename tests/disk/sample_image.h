// A random image in memory, and the way it takes through a Target: the model that the disk is compared with.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "chunker/digest.h"
#include "src/base/seams.h"
#include "src/disk/target.h"

namespace stampede::disk {

struct SampleImage {
  struct Piece {
    Offset at;
    Size length;
    chunker::ExtentKind kind = chunker::ExtentKind::data;
    std::vector<Offset> repeats;  // of the same bytes, elsewhere
  };
  Bytes bytes;
  std::vector<Piece> pieces;  // all bytes once; the places of repeats are pieces of no kind and left out

  Size size() const { return {bytes.size()}; }
  std::vector<Expected> expected() const;
  // What `disk` reads as after the deployment, if it held `before`.
  Bytes over(Bytes before, Size disk) const;
};

// Pieces begin at multiples of `grid`, at 4 KiB blocks or at sectors.
SampleImage make_image(Random& random, Size size, Size grid = {4096});

// Counts callbacks down and keeps the first error.
class Waiter {
 public:
  std::function<void(Result<>)> expect_one();
  Result<> wait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t open_ = 0;
  Result<> first_;
};

// begin() has been called: places and zeroes all, and waits for the callbacks.
Result<> transfer(Target& target, const SampleImage& image);

InProgress sample_record(Size disk);

}  // namespace stampede::disk
