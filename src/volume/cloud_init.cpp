#include "src/volume/cloud_init.h"

#include <algorithm>
#include <optional>
#include <sstream>

namespace stampede::volume {

namespace {

constexpr Size kMostText = 1_MiB;
constexpr std::string_view kMain = "/etc/cloud/cloud.cfg", kMore = "/etc/cloud/cloud.cfg.d";
constexpr std::string_view kList = "datasource_list:";

std::string text_at(const Ext4& files, std::string_view path) {
  const auto bytes = files.read(path, kMostText);
  return bytes ? std::string(as_text(*bytes)) : "";
}

// The last file that has a list decides, in the order in which cloud-init reads them.
bool takes_nocloud(const Ext4& files) {
  bool out = names_nocloud(text_at(files, kMain)).value_or(true);
  auto names = files.list(kMore).value_or(std::vector<std::string>{});
  std::ranges::sort(names);
  for (const std::string& name : names)
    if (name.ends_with(".cfg")) out = names_nocloud(text_at(files, fmt::format("{}/{}", kMore, name))).value_or(out);
  return out;
}

}  // namespace

bool cloud_init_reads_seed(const Ext4& files) {
  const bool installed = files.exists("/usr/bin/cloud-init") || files.exists(kMain);
  return installed && !files.exists("/etc/cloud/cloud-init.disabled") && takes_nocloud(files) &&
         !mounts_over_seed(text_at(files, "/etc/fstab"));
}

std::optional<bool> names_nocloud(std::string_view configuration) {
  std::optional<bool> out;
  std::istringstream in{std::string(configuration)};
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    line.resize(std::min(line.find('#'), line.size()));
    if (line.starts_with(kList)) {
      inside = true;
      out = false;
    } else if (!line.empty() && std::string_view(" \t-]").find(line.front()) == std::string_view::npos) {
      inside = false;  // the next key
    }
    if (inside && line.find("NoCloud") != line.npos) out = true;
  }
  return out;
}

bool mounts_over_seed(std::string_view fstab) {
  std::istringstream in{std::string(fstab)};
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string device, where;
    if (!(fields >> device >> where) || device.starts_with('#')) continue;
    while (where.size() > 1 && where.ends_with('/')) where.pop_back();
    for (const std::string_view over : {"/var", "/var/lib", "/var/lib/cloud", "/var/lib/cloud/seed"})
      if (where == over) return true;
  }
  return false;
}

}  // namespace stampede::volume
