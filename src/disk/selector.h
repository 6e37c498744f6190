// Which disk is meant: conditions that exactly one disk of the machine must meet, all of them.
//
//   serial:NUMBER      exactly
//   wwn:NAME           in any of its writings: 0x5000…, naa.5000…, wwn-0x5000…, eui.…
//   eui:NUMBER         an NVMe namespace's EUI-64 or NGUID alone, with or without "eui."
//   by-path:NAME       where it is plugged in: a name in /dev/disk/by-path
//   model:TEXT         the whole of it, capitals or not; * stands for anything
//   dev:/dev/PATH      a device node, or a link to one
//   size<1T            also <=, =, >= and >: K, M, G, T and P are powers of 1000, as disks are sold, Ki … Pi of 1024. A disk
//                      within 1 % of a number with a unit equals it ("1T" has 1,000,204,886,016 bytes); without one, exactly
//   removable          a USB stick, a memory card, or a disk on USB; without this word none of them is ever written
//   not CONDITION      the others
//   file:/PATH         a file, made if it is missing; alone, and all of what follows is the path
//
// Several are joined by commas: "model:Samsung SSD*,size<1T,not removable". A comma in a value is written "\,", and a
// backslash "\\". What a device does not say of itself (no serial, no model) meets no condition but its opposite.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/disk/inventory.h"

namespace stampede::disk {

struct Condition {
  enum class Kind : std::uint8_t { serial, wwn, eui, by_path, model, dev, size, removable, file };
  Kind kind = Kind::dev;
  bool negated = false;
  std::string value;  // without escapes; of a size "<1T"
  Size least, most;   // of a size: what it allows
  bool operator==(const Condition&) const = default;
};

class Selector {
 public:
  // Error: usage, with the list of forms.
  static Result<Selector> parse(std::string_view text);
  // As parse() takes it, blanks around conditions left out.
  std::string text() const;

  // The path, if a file is meant and not a disk.
  std::optional<std::string> file() const;
  // Says that the disk is removable: nothing else lets such a disk be written.
  bool wants_removable() const;
  bool matches(const Disk& disk, const SystemPaths& paths = {}) const;
  const std::vector<Condition>& conditions() const { return conditions_; }
  bool operator==(const Selector&) const = default;

 private:
  std::vector<Condition> conditions_;
};

// The one disk of `disks` that is meant. Errors: no_match, naming what there is; several_match, naming them and a condition
// that tells each from the others; usage for a file.
Result<Disk> select(const Selector& selector, const std::vector<Disk>& disks, const SystemPaths& paths = {});

// "serial:S1 (/dev/sda, SuperDisk, 465.8 GiB)": the disk, by the first condition that no other of `disks` meets.
std::string naming(const Disk& disk, const std::vector<Disk>& disks);

// Do both write one WWN? People copy it as "0x5000…" (lsblk), "wwn-0x5000…" (/dev/disk/by-id) or "naa.5000…" (sysfs).
bool same_wwn(std::string_view a, std::string_view b);

}  // namespace stampede::disk
