// What a crash state is, and whether it may be. Tables are looked for by the programs that people use: sgdisk, sfdisk
// (libfdisk), partx and blkid (libblkid, which wants what the kernel wants); a boot sector by its signature, without which
// firmware looks for nothing.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/file.h"

namespace stampede::powerloss {

enum class Kind : std::uint8_t {
  untouched,   // the old disk, byte for byte
  old,         // but for its first sector and backup header: whoever finds its table finds it whole
  unbootable,  // no table, GPT header or boot sector is found, and a second run knows it as an interrupted deployment
  fresh,       // complete but for the boot sector and a header: the table that somebody finds names what is there
  complete,    // byte for byte what the deployment leaves
};
inline constexpr std::array<std::string_view, 5> kKindNames{"untouched", "old", "unbootable", "fresh", "complete"};

class Oracle {
 public:
  // Both of the same size, in whole sectors of so many bytes.
  static Result<Oracle> make(const std::filesystem::path& old, const std::filesystem::path& complete,
                             std::uint32_t sector = 512);

  // Error: internal, with what is wrong with that state.
  Result<Kind> judge(const File& disk, const std::filesystem::path& path) const;

 private:
  Oracle(File old, File complete, Size size, Size sector)
      : old_(std::move(old)), complete_(std::move(complete)), size_(size), sector_(sector) {}
  File old_, complete_;
  Size size_, sector_;
};

// The programs that find a partition table on the disk; one that is not installed is in the list too. They take a file for a
// disk with sectors of 512 bytes; for others it is put under a loop device.
std::vector<std::string> who_finds_a_table(const std::filesystem::path& disk, Size sector = 512_B);

}  // namespace stampede::powerloss
