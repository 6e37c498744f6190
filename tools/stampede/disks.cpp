#include <boost/json.hpp>

#include "src/disk/guard.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

namespace {

namespace json = boost::json;

json::object to_json(const disk::Disk& disk, const disk::Verdict& verdict) {
  return {{"path", disk.path},
          {"model", disk.model},
          {"serial", disk.serial},
          {"wwn", disk.wwn},
          {"by_path", disk.by_path},
          {"guid", disk.guid},
          {"size", disk.size.bytes},
          {"sector_size", disk.sector_size},
          {"removable", disk.removable},
          {"read_only", disk.read_only},
          {"mounts", json::value_from(disk.mounts)},
          {"swaps", json::value_from(disk.swaps)},
          {"holders", json::value_from(disk.holders)},
          {"own", disk.own},
          {"content", disk.content},
          {"writable", verdict.writable},
          {"code", verdict.writable ? 0 : static_cast<int>(verdict.code)},
          {"rule", verdict.writable ? "" : name_of(verdict.code)},
          {"reason", verdict.reason}};
}

Result<> show(bool as_json) {
  STAMPEDE_TRY(auto disks, disk::list_disks());
  json::array all;
  for (auto& disk : disks) {
    disk::look_into(disk);
    const auto verdict = disk::verdict_on(disk);
    if (as_json) {
      all.push_back(to_json(disk, verdict));
      continue;
    }
    print(fmt::format("{:<16} {:>10}  {}", disk.path, human_size(disk.size.bytes), disk.model));
    if (!disk.serial.empty()) print("  serial:" + disk.serial);
    if (!disk.wwn.empty()) print("  wwn:" + disk.wwn);
    if (!disk.by_path.empty()) print("  by-path:" + disk.by_path);
    if (!disk.guid.empty()) print("  guid " + disk.guid);
    print(fmt::format("  {}{} bytes a sector; {}", disk.removable ? "removable; " : "", disk.sector_size, disk.content));
    print(verdict.writable ? "  may be written" : fmt::format("  refused ({}): {}", name_of(verdict.code), verdict.reason));
  }
  if (as_json)
    print_json(all);
  else if (disks.empty())
    note("this machine has no disks");
  return {};
}

}  // namespace

void add_disks(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("disks", "Lists the disks of this machine and says of each whether it may be written; only reads");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "As a JSON array on stdout");
  command->footer("The lines with a colon are what deploy's --disk takes.\nExample: stampede disks");
  command->callback([=, &action] { action = [=] { return show(*as_json); }; });
}

}  // namespace stampede::tools
