// From what people have to a raw disk that can be inspected and packaged: raw files and devices are read in place, all else
// becomes a spool (spool.h).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "src/formats/format.h"
#include "src/formats/spool.h"

namespace stampede::formats {

struct UnpackOptions {
  std::optional<Format> format;  // as declared; else by the file's name
  SpoolLimits limits;
  std::filesystem::path folder;  // for the spool: the store's
  // Called about ten times a second: how much was unpacked, and of how much; 0: nobody knows.
  std::function<void(Size done, Size total)> progress;
  // Asked often: true ends it with `interrupted`.
  std::function<bool()> interrupted;
};

struct RawDisk {
  std::filesystem::path path;  // of the raw disk, as long as this lives
  Format format;               // of the file that it came from
  std::string name;            // of that file, without folders; "-" is standard input
  File spool;                  // none where the disk is read in place
};

// `file` may be "-" for standard input, or name a pipe: raw unless declared. Errors: usage, where the file cannot be read,
// is not what it is said to be, is damaged, or refers to other files; no_space; read_failed; interrupted.
Result<RawDisk> open_raw_disk(const std::filesystem::path& file, const UnpackOptions& options);

}  // namespace stampede::formats
