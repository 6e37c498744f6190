// Would cloud-init read a NoCloud seed in the root file system?
#pragma once

#include <optional>
#include <string_view>

#include "src/volume/ext4.h"

namespace stampede::volume {

// It is installed and not switched off (/etc/cloud/cloud-init.disabled), its datasource_list, where there is one, names
// NoCloud, and /etc/fstab mounts nothing over /var/lib/cloud. What cannot be read is taken for harmless.
bool cloud_init_reads_seed(const Ext4& files);

// The two judgements on text: pure.
// Nothing where the YAML has no datasource_list.
std::optional<bool> names_nocloud(std::string_view configuration);
bool mounts_over_seed(std::string_view fstab);

}  // namespace stampede::volume
