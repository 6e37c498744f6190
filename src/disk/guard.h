// The guard: from a selector to the one open disk that may be written, or a refusal that names the disk and the rule.
//
// No flag removes the first four rules: a disk must be named; the selector must match exactly one; its identity (path's
// device number, size, serial, WWN) is read again from the open descriptor; it is opened with O_EXCL (files: flock).
// Then, each with its own code and in this order, so that a message names the gravest:
//   mounted, swap, in_use (holders), read_only, own_disk
//   in_use            another program has locked it, as virtual machine monitors lock their disks
//   removable         unless the selector says that it is
//   in_use            the same medium can be written under another name: a loop device upon it or upon what it lies on
//   several_match     another disk has its WWN, or its serial and model
//   too_small, sector_size
//   in_use            what is on it is part of an imported ZFS pool or of an active LVM volume group
//   foreign_content   it is neither blank nor an interrupted deployment of ours nor a finished one of this site (its GUID is
//                     `deployed`), and `overwrite` is not the disk's GUID, serial, WWN or path
// A disk that is held for no known reason is tried for a second: a killed writer's last writes hold it until they have
// ended.
#pragma once

#include <optional>
#include <string>

#include "src/base/file.h"
#include "src/disk/image_file.h"
#include "src/disk/in_progress.h"
#include "src/disk/inventory.h"
#include "src/disk/new_file.h"
#include "src/disk/selector.h"
#include "src/volume/inspect.h"

namespace stampede::disk {

struct Needs {
  Size size{};                                  // the image's
  std::uint32_t sector_size = 512;              // the image's; files take any
  std::optional<std::string> overwrite{};       // --overwrite
  bool create = true;                           // a file that is missing; else no_match
  Size file_size{};                             // of a file that is made; 0: as large as the image
  std::optional<std::filesystem::path> base{};  // a raw file: one that is made shares all of it at first; it is read alone
  std::string deployed{};  // what this site deployed to the disk bears this GUID; empty: nothing is known
};

// The disk, open and held.
struct GuardedDisk {
  File file;           // O_RDWR | O_DIRECT (plain O_RDWR where a file system has no O_DIRECT)
  bool direct = true;  // O_DIRECT is set
  Disk identity;
  bool is_file = false;
  bool created = false;                   // a file made by this call: reads as zeros
  std::uint32_t alignment = 4096;         // for O_DIRECT addresses, offsets and lengths: the logical sector size, or 4096
  std::optional<InProgress> interrupted;  // found on it
  std::vector<volume::Found> found;       // on it and in its partitions, in the order of the disk
  std::unique_ptr<NewFile> unnamed{};     // where it is a file that has no name yet
  bool named_last = false;                // it gets its name by commit(), not by begin()
  std::unique_ptr<ImageFile> image{};     // where it is the content of an image file: through this, and `file` is none
};

// `disks` is what list_disks() said. A file: target is refused where it is there, neither blank nor interrupted nor named by
// `overwrite`; one that is smaller than the image is too_small. Nothing is written to an existing disk or file. A missing
// file is made (its folder must exist), without a name (new_file.h): it gets it by begin(), with the mark in it. An image
// file (image_file.h) is always made anew, and so is one with a base (`created` is false then if it does share what that
// has): it gets its name by commit(), in place of one that `overwrite` names.
Result<GuardedDisk> open_guarded(const Selector& selector, const Needs& needs, const std::vector<Disk>& disks,
                                 const SystemPaths& paths = {});

// Does each lead to another disk or file? Errors: usage, naming two that do not; those of select().
Result<> check_distinct(const std::vector<Selector>& selectors, const std::vector<Disk>& disks,
                        const SystemPaths& paths = {});

// The disk or file that is meant, and what is on it, without opening it to write. Errors: as select(); not_found where there
// is no file yet.
Result<Disk> look_at_selected(const Selector& selector, const std::vector<Disk>& disks, const SystemPaths& paths = {});

// A disk that is only read, open and held: nobody mounts or writes it meanwhile.
struct HeldDisk {
  File file;  // O_RDONLY | O_DIRECT
  Disk identity;
};
// Errors: those of select(); mounted, swap, in_use, identity_changed.
Result<HeldDisk> hold_for_reading(const Selector& selector, const std::vector<Disk>& disks, const SystemPaths& paths = {});

// The guard's verdict on one disk if it were named, opened read-only for the look: "may be written", or the refusal.
struct Verdict {
  bool writable = false;
  Code code = Code::internal;  // of the refusal
  std::string reason;
};
Verdict verdict_on(const Disk& disk);

}  // namespace stampede::disk
