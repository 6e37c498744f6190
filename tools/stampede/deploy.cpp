#include "src/deploy/several.h"

#include <algorithm>
#include <deque>

#include "src/base/file.h"
#include "tools/stampede/depot_options.h"
#include "tools/stampede/preview.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace {

struct DeployArguments {
  DepotArguments depot;
  std::string name, disk, file_size, base, rescue_dir, instance, hostname, network, user_data, receipt;
  std::string peer_listen = ":0";
  std::string serve_for;
  std::string progress = "auto";
  std::string transfer = "auto";
  std::string unspecified = "leave";
  std::string verify = "data";
  bool grow = false, fresh_uuids = false;
  std::optional<std::uint64_t> memory;
  std::string delta = "auto";
  std::vector<std::string> also, overwrite, roles, ssh_keys;
  bool dry_run = false, as_json = false;
};

constexpr Size kMaxInput = 1_MiB;

Result<std::string> read_text(const std::string& path) {
  STAMPEDE_TRY(const Bytes bytes, read_file(path, kMaxInput));
  return std::string(as_text(bytes));
}

// The instance file, and the flags that are its shorthand.
Result<firstboot::Instance> read_instance(const DeployArguments& arguments) {
  firstboot::Instance file;
  if (!arguments.instance.empty()) {
    STAMPEDE_TRY(const auto text, read_text(arguments.instance));
    auto parsed = firstboot::parse_instance(text);
    if (!parsed) return pass(std::move(parsed).error(), arguments.instance);
    file = std::move(*parsed);
  }
  firstboot::Instance flags;
  if (!arguments.hostname.empty()) {
    STAMPEDE_TRY(flags.hostname, firstboot::check_hostname(arguments.hostname));
  }
  for (const auto& role : arguments.roles) {
    STAMPEDE_TRY(auto checked, firstboot::check_role(role));
    flags.roles.push_back(std::move(checked));
  }
  if (!arguments.network.empty()) {
    STAMPEDE_TRY(const auto text, read_text(arguments.network));
    auto network = firstboot::parse_network(text);
    if (!network) return pass(std::move(network).error(), arguments.network);
    flags.network = std::move(*network);
  }
  for (const auto& path : arguments.ssh_keys) {
    STAMPEDE_TRY(const auto text, read_text(path));
    auto keys = firstboot::parse_ssh_keys(text);
    if (!keys) return pass(std::move(keys).error(), path);
    flags.ssh_keys.insert(flags.ssh_keys.end(), keys->begin(), keys->end());
  }
  if (!arguments.user_data.empty()) {
    STAMPEDE_TRY(const auto text, read_text(arguments.user_data));
    auto user_data = firstboot::check_user_data(text);
    if (!user_data) return pass(std::move(user_data).error(), arguments.user_data);
    flags.user_data = std::move(*user_data);
  }
  return firstboot::merge(std::move(file), std::move(flags));
}

net::Transfer transfer_of(std::string_view name) {
  if (name == "multicast") return net::Transfer::multicast;
  if (name == "swarm") return net::Transfer::swarm;
  if (name == "depot") return net::Transfer::depot;
  return net::Transfer::automatic;
}

deploy::Delta delta_of(std::string_view name) {
  return name == "always" ? deploy::Delta::always : name == "never" ? deploy::Delta::never : deploy::Delta::automatic;
}

Result<deploy::Options> read_options(const DeployArguments& arguments) {
  deploy::Options options;
  STAMPEDE_TRY(options.image, chunker::ImageRef::parse(arguments.name));
  STAMPEDE_CHECK(read_depot_options(arguments.depot, options));
  STAMPEDE_TRY(options.disk, disk::Selector::parse(arguments.disk));
  STAMPEDE_TRY(const auto listen, net::Endpoint::parse(arguments.peer_listen, 0));
  options.peer_listen = listen;
  options.transfer = transfer_of(arguments.transfer);
  options.delta = delta_of(arguments.delta);
  if (!arguments.serve_for.empty()) {
    STAMPEDE_TRY(options.serve_for, parse_duration(arguments.serve_for));
  }
  if (arguments.memory) options.memory = Size{*arguments.memory};
  options.overwrite = arguments.overwrite;
  if (!arguments.base.empty()) {
    if (!options.disk.file()) return fail(Code::usage, "--base is for a target that is a file");
    if (options.delta == deploy::Delta::never)
      return fail(Code::usage, "with --base the file is compared: not --delta never");
    options.base = arguments.base;
  }
  if (!arguments.file_size.empty()) {
    if (!options.disk.file()) return fail(Code::usage, "--file-size is for a target that is a file");
    STAMPEDE_TRY(const Size size, parse_size(arguments.file_size));
    options.file_size = {round_up(size.bytes, chunker::kBlock.bytes)};
  }
  options.unspecified = *deploy::unspecified_named(arguments.unspecified);  // one of its names, says CLI::IsMember
  options.verify = arguments.verify == "full" ? deploy::Verify::full : deploy::Verify::data;
  options.fit = {.grow = arguments.grow, .fresh_uuids = arguments.fresh_uuids};
  options.rescue_folder = arguments.rescue_dir;
  STAMPEDE_TRY(options.instance, read_instance(arguments));
  return options;
}

// Those of --disk, then those of each --also: with its image and disk, and without what is the machine's or the first
// file's.
Result<std::vector<deploy::Options>> read_all_options(const DeployArguments& arguments) {
  STAMPEDE_TRY(const auto first, read_options(arguments));
  std::vector<deploy::Options> all{first};
  for (const std::string& also : arguments.also) {
    const std::size_t at = also.find('=');
    if (at == also.npos) return fail(Code::usage, "--also is NAME:TAG=SELECTOR, not '{}'", also);
    deploy::Options& options = all.emplace_back(first);
    STAMPEDE_TRY(options.image, chunker::ImageRef::parse(also.substr(0, at)));
    STAMPEDE_TRY(options.disk, disk::Selector::parse(also.substr(at + 1)));
    options.instance = {};
    options.file_size = {};
    options.base.reset();
  }
  return all;
}

void tell(const deploy::Outcome& outcome) {
  const auto& receipt = outcome.receipt;
  double seconds = 0;
  for (const auto& stage : receipt.stages) seconds = std::max(seconds, stage.start + stage.seconds);
  const auto& bytes = receipt.bytes;
  const auto there = bytes.local + bytes.moved == 0 ? std::string()
                                                    : fmt::format("{} was in place, {} elsewhere on it, ",
                                                                  human_size(bytes.local), human_size(bytes.moved));
  note(fmt::format("{} is on {}: {} durable and read back in {:.1f} s; {}{}", receipt.name, receipt.disk.path,
                   human_size(bytes.durable), seconds, there, paths_text(bytes)));
  if (receipt.fit.grown_partition != 0)
    note(fmt::format("partition {} has grown from {} to {}{}", receipt.fit.grown_partition,
                     human_size(receipt.fit.grown_from), human_size(receipt.fit.grown_to),
                     receipt.fit.grown_file_system.empty() ? "" : ", its " + receipt.fit.grown_file_system + " too"));
  for (const auto& peer : receipt.bad_peers)
    note(fmt::format("stampede: node {} served altered bytes and was dropped", peer));
}

// That of the first as told, those of others with their number at its end.
Result<> keep_receipt(const std::string& path, std::size_t index, const deploy::Outcome& outcome) {
  if (path.empty()) return {};
  return replace_file(index == 0 ? path : fmt::format("{}.{}", path, index), outcome.signed_bytes, 0644);
}

Result<> run(const DeployArguments& arguments) {
  STAMPEDE_TRY(auto all, read_all_options(arguments));
  catch_signals();
  if (arguments.as_json && !arguments.dry_run)
    return fail(Code::usage, "--json is for --dry-run; a deployment tells its progress as JSON with --progress json");
  if (arguments.dry_run) return show_previews(all, arguments.as_json);
  const auto mode = arguments.progress == "json"   ? ProgressMode::json
                    : arguments.progress == "none" ? ProgressMode::none
                                                   : ProgressMode::automatic;
  std::deque<DeployProgress> progress;
  for (deploy::Options& options : all) {
    DeployProgress& own = progress.emplace_back(mode, all.size() > 1 ? options.disk.text() : "");
    options.progress = [&own](const deploy::Progress& now) { own.update(now); };
  }
  Result<> kept;
  const auto done = [&](std::size_t index, const deploy::Outcome& outcome) {
    progress[index].finished(outcome);
    if (auto written = keep_receipt(arguments.receipt, index, outcome); !written) kept = std::move(written);
    if (!outcome.error) tell(outcome);
  };
  const auto error = all.size() > 1
                         ? deploy::deploy_all(std::move(all), done).error
                         : deploy::deploy(all[0], [&](const deploy::Outcome& outcome) { done(0, outcome); }).error;
  if (error) return std::unexpected(*error);
  return kept;
}

}  // namespace

void add_deploy(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("deploy", "Writes an image onto a disk of THIS machine: by multicast, from peers and from a depot");
  auto arguments = std::make_shared<DeployArguments>();
  DeployArguments& a = *arguments;
  add_image_argument(*command, a.name);
  add_depot_options(*command, a.depot);
  command
      ->add_option(
          "--disk", a.disk,
          "The one disk to write: serial:…, wwn:…, eui:…, by-path:…, model:TEXT (* for anything), dev:/dev/…, "
          "size<1T (also =, >), removable, 'not' and one of these; several joined by commas must all hold, and "
          "one disk alone must match. A removable disk is written only if this says removable. Or file:/… for a VM: "
          "a raw file, a sparse one where it is missing; or a new qcow2 file, where the name ends in .qcow2")
      ->required();
  command
      ->add_option(
          "--also", a.also,
          "A further disk, and what goes onto it; may be given several times. All disks are found, checked and held "
          "before the first is written; --disk comes last. What is told of the machine (--hostname and so on), "
          "--file-size and --base are for --disk alone")
      ->type_name("NAME:TAG=SELECTOR")
      ->allow_extra_args(false);
  command
      ->add_option(
          "--overwrite", a.overwrite,
          "The GUID, serial, WWN or path of a disk, if what is on it may be lost; may be given several times. Not needed "
          "where receipts of this site say that it deployed that")
      ->type_name("ID")
      ->allow_extra_args(false);
  command
      ->add_option("--file-size", a.file_size,
                   "Makes the file this large (40G; 40Gi for powers of 1024) instead of as large as the image; see --grow")
      ->type_name("SIZE");
  command
      ->add_option("--base", a.base,
                   "A raw file on the same file system, of an older or the same image: the new one shares with it what is "
                   "alike, where the file system can (XFS, btrfs). It is only read")
      ->type_name("FILE");
  command
      ->add_option("--unspecified", a.unspecified,
                   "What becomes of free space, the image's and what the disk has beyond it: leave it, discard it where the "
                   "device can, or zero it")
      ->check(CLI::IsMember({"leave", "discard", "zero"}))
      ->capture_default_str();
  command
      ->add_option("--verify", a.verify,
                   "data: reads back all data, and samples of what must read as zeros; full: reads back all of both")
      ->check(CLI::IsMember({"data", "full"}))
      ->capture_default_str();
  command->add_flag(
      "--grow", a.grow,
      "Grow the image's last partition to the disk's end, and ext2/3/4 in it; other file systems keep their size");
  command->add_flag(
      "--fresh-uuids", a.fresh_uuids,
      "New disk and partition GUIDs and UUIDs of ext2/3/4 and swap; fstab, boot loader and kernel command line "
      "follow. Refused where one is mentioned in what cannot be edited, such as an initramfs");
  command
      ->add_option("--rescue-dir", a.rescue_dir,
                   "Where to keep what the disk held at its start and end, for `stampede disk restore-table`; unless given, "
                   "in the state's folder. The depot keeps it too")
      ->type_name("DIR");
  command->add_option("--instance", a.instance, "YAML with hostname, roles, network, ssh_keys, user_data")
      ->type_name("FILE");
  command->add_option("--hostname", a.hostname, "The machine's name");
  command->add_option("--role", a.roles, "A role; may be given several times, in order")
      ->type_name("R")
      ->allow_extra_args(false);
  command->add_option("--network", a.network, "netplan v2 YAML")->type_name("FILE");
  command->add_option("--ssh-key", a.ssh_keys, "Authorized keys; may be given several times")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command->add_option("--user-data", a.user_data, "cloud-init user data")->type_name("FILE");
  command->add_option("--peer-listen", a.peer_listen, "Where to serve peers")->capture_default_str()->type_name("ADDR:PORT");
  command
      ->add_option(
          "--transfer", a.transfer,
          "auto: by multicast where it arrives, the rest from peers and the depot; multicast: without peers; swarm: "
          "without multicast; depot: from the depot alone")
      ->check(CLI::IsMember({"auto", "multicast", "swarm", "depot"}))
      ->capture_default_str();
  command
      ->add_option(
          "--delta", a.delta,
          "Read the disk first, keep and move what is on it already, and get only the rest. auto: where a sample says "
          "that it is worth it, and less of it where a receipt says what is there; always: all of it; never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  command
      ->add_option("--memory", a.memory,
                   "The most memory that it may take, such as 512M: what the image leaves of it keeps chunks for other "
                   "targets. Else 256M, or what a large image needs")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  command->add_option("--serve-for", a.serve_for, "Serve peers this long afterwards, instead of while others are active")
      ->type_name("TIME");
  command->add_flag(
      "--dry-run", a.dry_run,
      "Writes nothing: says what would be written, kept and fetched, why to this disk, and what on it would be "
      "lost; or refuses as the deployment would. A machine that is not enrolled is enrolled");
  command->add_flag("--json", a.as_json, "With --dry-run: as JSON on stdout");
  command->add_option("--receipt", a.receipt, "Also write the receipt here; those of --also beside it, as FILE.1, FILE.2 …")
      ->type_name("FILE");
  command->add_option("--progress", a.progress, "auto: a line on a terminal; json: events on stdout; none")
      ->check(CLI::IsMember({"auto", "json", "none"}))
      ->capture_default_str();
  command->footer(
      "Example: stampede deploy debian:12 --depot 10.0.0.1 --token-file join.token --disk serial:S4X9NF0M --hostname web-1 "
      "--role web\n"
      "Example: stampede deploy debian:12 --depot 10.0.0.1 --disk \"model:Samsung SSD*,size<1T,not removable\"\n"
      "Example: stampede deploy debian:12 --depot 10.0.0.1 --disk file:/var/lib/libvirt/images/web-1.qcow2 --file-size 40Gi "
      "--grow --hostname web-1\n"
      "Example: stampede deploy debian:12 --depot 10.0.0.1 --disk serial:S4X9NF0M --also data:3=serial:S4X9NF0N --hostname "
      "db-1");
  command->callback([=, &action] { action = [=] { return run(*arguments); }; });
}

}  // namespace stampede::tools
