#include <boost/json.hpp>

#include "src/base/file.h"
#include "src/deploy/node_state.h"
#include "src/disk/restore.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

namespace {

struct RestoreArguments {
  std::string file, disk, overwrite, rescue_dir, state;
  bool as_json = false;
};

Result<> restore(const RestoreArguments& arguments) {
  STAMPEDE_TRY(const Bytes bytes, read_file(arguments.file, disk::kMostRescue));
  auto rescue = disk::decode_rescue(bytes);
  if (!rescue) return pass(std::move(rescue).error(), arguments.file);
  disk::RestoreOptions options;
  STAMPEDE_TRY(options.selector, disk::Selector::parse(arguments.disk));
  if (!arguments.overwrite.empty()) options.overwrite = arguments.overwrite;
  std::filesystem::path folder = arguments.rescue_dir;
  if (folder.empty()) folder = std::filesystem::path(arguments.state) / "rescue";
  std::filesystem::path kept;
  options.save = [&](const disk::Rescue& now) -> Result<> {
    STAMPEDE_TRY(kept, deploy::keep_rescue(folder, now, encode(now)));
    return {};
  };
  STAMPEDE_TRY(const auto disks, disk::list_disks());
  STAMPEDE_TRY(const auto restored, disk::restore_table(*rescue, options, disks));
  if (!kept.empty()) note(fmt::format("stampede: what {} held until now is kept in {}", restored.disk.path, kept.string()));
  if (arguments.as_json)
    print_json(boost::json::object{{"disk", restored.disk.path},
                                   {"saved", to_rfc3339(rescue->saved)},
                                   {"bytes", restored.written.bytes},
                                   {"kept", kept.string()}});
  else
    print(fmt::format("{}: {} put back as they were at {}", restored.disk.path, human_size(restored.written.bytes),
                      to_rfc3339(rescue->saved)));
  return {};
}

}  // namespace

void add_disk(CLI::App& app, Action& action) {
  auto* disk = app.add_subcommand("disk", "Mends a disk of this machine");
  disk->require_subcommand(1);
  disk->footer("Example: stampede disk restore-table /var/lib/stampede-node/rescue/*.rescue --disk serial:S4X9NF0M");
  auto arguments = std::make_shared<RestoreArguments>();
  RestoreArguments& a = *arguments;
  a.state = default_state();
  auto* command = disk->add_subcommand(
      "restore-table",
      "Puts back what a disk held at its start and end before it was deployed to: the partition table, the boot loader, the "
      "marks of RAID, LVM and ZFS. What a deployment has written between stays written");
  command->add_option("FILE", a.file, "The rescue file; `stampede receipt rescue` gets it from the depot")->required();
  command->add_option("--disk", a.disk, "The disk, as for deploy; it has to be the one that the file was made of")
      ->required();
  command
      ->add_option("--overwrite", a.overwrite, "The GUID, serial, WWN or path of the disk, if what is on it now may be lost")
      ->type_name("ID");
  command
      ->add_option("--rescue-dir", a.rescue_dir, "Where to keep what the disk holds now; unless given, the state's folder")
      ->type_name("DIR");
  command->add_option("--state", a.state, "This node's state")->capture_default_str()->type_name("DIR");
  command->add_flag("--json", a.as_json, "As JSON on stdout");
  command->footer("Example: stampede disk restore-table 20261125T170300Z-sda-0123456789ab.rescue --disk serial:S4X9NF0M");
  command->callback([=, &action] { action = [=] { return restore(*arguments); }; });
}

}  // namespace stampede::tools
