// Lint: what an image holds that makes a machine itself, and that its copies therefore must not share. Looks at the root
// file system (ext2/3/4) and, for the boot loader's random seed, at FAT partitions. Reads only; the bytes may be hostile.
//
// The table of codes is kLintCodes in lint.cpp; a code keeps its meaning. Those that are notes are worth knowing and do not
// count: what they name is either no secret or nothing that could be removed without breaking the machine.
// (systemd: machine-id(5), systemd-random-seed(8); NetworkManager.conf(5); cloud-init: "cloud-init clean"; virt-sysprep(1).)
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.h"
#include "src/volume/block_access.h"
#include "src/volume/finding.h"
#include "src/volume/inspect.h"

namespace stampede::volume {

struct LintCode {
  std::string_view code;
  bool note = false;  // worth knowing, no more
  std::string_view what, why, cure;
};
std::span<const LintCode> lint_codes();
// Of a finding of lint(); an unknown code has no words.
const LintCode& lint_code(std::string_view code);

inline constexpr std::size_t kMostFindings = 1000;

struct Lint {
  std::vector<Finding> findings, notes;  // in the order of the table, then of the paths; kMostFindings of each at most
};

// Errors: cannot_customise, where the image has no root file system that can be looked at; read_failed.
Result<Lint> lint(BlockAccess& blocks, const ImageFacts& facts);

// Does a network configuration's text name a hardware address that it is for, or gives out? Pure.
bool names_hardware(std::string_view text);
// The text without the lines that do.
std::string without_hardware(std::string_view text);

}  // namespace stampede::volume
