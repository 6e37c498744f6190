// What the formats' unpackers share.
#pragma once

#include "src/base/seams.h"
#include "src/formats/raw_disk.h"

namespace stampede::formats {

// Tells how far it is, and hears of interruptions.
class Ticker {
 public:
  Ticker(const UnpackOptions& options, Size total) : options_(options), total_(total) {}
  // Error: interrupted.
  Result<> tick(Size done);

 private:
  static constexpr std::chrono::milliseconds kEvery{100};
  const UnpackOptions& options_;
  const Size total_;
  Instant last_;
};

// The stream is the disk. `guess`: nobody said that it is raw, so that it must not look like something else.
Result<> copy_raw(unpack::Stream& stream, Spool& spool, Ticker& ticker, bool guess);

}  // namespace stampede::formats
