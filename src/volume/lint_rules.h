// Where the identity of a machine lies: what lint looks for and generalise removes.
#pragma once

#include <span>
#include <string_view>

namespace stampede::volume {

struct LintRule {
  enum class Kind {
    files,     // regular files in the folder that are not empty, whose names match
    link,      // a symbolic link
    content,   // all that the folder holds, if there is a file in it
    hardware,  // files in the folder whose names match and whose text names a hardware address; removed as a whole
    lines,     // the same, but only those lines go
  };
  std::string_view code;
  Kind kind = Kind::files;
  std::string_view folder;
  std::string_view pattern = "*";  // as fnmatch(3) takes it
};
// In the root file system. /etc/machine-id and the FAT partitions' random seed are not among them.
std::span<const LintRule> lint_rules();

inline constexpr std::string_view kMachineId = "/etc/machine-id";
// loader/random-seed of systemd-boot, by its short name.
inline constexpr std::string_view kLoaderSeed = "/LOADER/RANDOM~1";

}  // namespace stampede::volume
