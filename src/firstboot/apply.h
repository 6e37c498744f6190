// First boot, first form: a NoCloud seed and a clean identity, written into the unmounted root file system.
#pragma once

#include <string>
#include <vector>

#include "chunker/types.h"
#include "src/base/error.h"
#include "src/firstboot/instance.h"
#include "src/volume/block_access.h"
#include "src/volume/inspect.h"

namespace stampede::firstboot {

struct FileEdit {
  enum class Kind { write, remove } kind = Kind::write;
  std::string path;
  std::string content;
  unsigned mode = 0644;
};

// Can this image be customised? Error: cannot_customise, with the reason (no root file system known, not ext4, or one that
// cannot be edited: RootFacts::clean).
Result<> check(const volume::ImageFacts& facts);

// The edits for an instance: /var/lib/cloud/seed/nocloud/{meta-data,user-data,network-config}, /etc/machine-id emptied
// (and /var/lib/dbus/machine-id removed where it is a file), systemd's random seed and credential secret removed,
// with cloud-init, which makes new ones, /etc/ssh/ssh_host_* removed (without it every copy has the template's), a
// network-config of the template's own removed where the instance has none, /etc/stampede/roles (one a line), and without
// cloud-init /etc/hostname. `instance_id` is "iid-<deployment>-<image prefix>": a re-image customises again, a reboot does
// not. Pure.
std::vector<FileEdit> render(const Instance& instance, const std::string& instance_id, bool cloud_init,
                             const std::vector<std::string>& existing_host_keys);

// Opens the root file system in `blocks`, applies, closes (flushed), opens it again and reads every edited file back.
// Returns the paths it changed.
Result<std::vector<std::string>> apply(volume::BlockAccess& blocks, const volume::ImageFacts& facts,
                                       const Instance& instance, const std::string& instance_id);

}  // namespace stampede::firstboot
