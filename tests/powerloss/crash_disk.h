// A disk as it may be after the power went: what was flushed is there, and of the writes since then any part.
#pragma once

#include <filesystem>
#include <span>

#include "src/base/seams.h"
#include "tests/powerloss/write_log.h"

namespace stampede::powerloss {

// A part of a write that has reached the disk, in whole sectors.
struct Landed {
  std::size_t write = 0;  // of the epoch
  Size skipped;           // of its start
  Size length;
  bool operator==(const Landed&) const = default;
};

// A random choice: of the writes that were under way by some random moment a random share, in random order, and one of
// them torn (its start, its end, or both without the middle). A sector is old or new. `epoch` is not empty. Now and then
// nothing.
std::vector<Landed> choose_state(Random& random, const Epoch& epoch, Size sector = 512_B);

// Two files in a folder: `base`, the disk as of the last flush, and `disk`, a state of it. Needs as much space as the old
// disk and all writes, twice.
class CrashDisk {
 public:
  // `log` outlives it.
  static Result<CrashDisk> make(const std::filesystem::path& folder, const std::filesystem::path& old, const File& log);

  const std::filesystem::path& path() const { return path_; }
  const File& file() const { return disk_; }

  // In that order, later ones over earlier ones.
  Result<> land(const Epoch& epoch, std::span<const Landed> landed);
  // As before land().
  Result<> undo();
  // The flush at the end of the epoch has ended: all its writes, in the log's order.
  Result<> flush(const Epoch& epoch);

 private:
  CrashDisk(std::filesystem::path path, File base, File disk, const File& log)
      : path_(std::move(path)), base_(std::move(base)), disk_(std::move(disk)), log_(&log) {}

  std::filesystem::path path_;
  File base_, disk_;
  const File* log_;
  struct Touched {
    Offset at;
    Size length;
  };
  std::vector<Touched> touched_;
};

}  // namespace stampede::powerloss
