#include "src/deploy/receipt.h"

#include <boost/json.hpp>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/service/receipts.h"
#include "src/service/rescue_shelf.h"
#include "src/trust/keys.h"
#include "tools/stampede/command.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct ReceiptArguments {
  std::filesystem::path store;
  std::int64_t number = 0;
  std::filesystem::path output;
  bool as_json = false;
};

Result<cache::ReceiptRow> find(cache::Store& store, std::int64_t number) {
  STAMPEDE_TRY(auto row, store.catalog().find_receipt(number));
  if (!row)
    return fail(Code::not_found, "no receipt {} in {}; `stampede receipt list` shows what is", number,
                store.folder().string());
  return std::move(*row);
}

// What a node wrote goes to a terminal as text alone.
void print_line(std::string_view line) { print(printable(line)); }

Result<> list(const ReceiptArguments& arguments) {
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto rows, store->catalog().list_receipts());
  json::array all;
  if (!arguments.as_json && !rows.empty())
    print(fmt::format("{:>6}  {:<20}  {:<16}  {:<8}  {:<20} {}", "NUMBER", "RECEIVED", "NODE", "VERDICT", "IMAGE", "DISK"));
  std::vector<std::string> damaged;
  for (const auto& row : rows) {
    const auto read = service::read_receipt(row);
    if (!read) {
      damaged.push_back(read.error().message);
      continue;
    }
    const auto& receipt = *read;
    if (arguments.as_json)
      all.push_back(json::object{{"number", row.number},
                                 {"received", to_rfc3339(row.received)},
                                 {"node", receipt.node},
                                 {"verdict", row.verdict},
                                 {"name", receipt.name},
                                 {"image", receipt.image},
                                 {"disk", receipt.disk.path},
                                 {"code", receipt.code},
                                 {"error", receipt.error}});
    else
      print_line(fmt::format("{:>6}  {:<20}  {:<16}  {:<8}  {:<20} {}", row.number, to_rfc3339(row.received),
                             trust::short_name(row.node), row.verdict, receipt.name, receipt.disk.path));
  }
  if (arguments.as_json) print_json(all);
  for (const auto& why : damaged) note(why);
  if (!damaged.empty()) return fail(Code::store_damaged, "{} of the receipts cannot be trusted", damaged.size());
  return {};
}

void print_receipt(const deploy::Receipt& receipt) {
  print_line(fmt::format("{} onto {} ({}): {}{}", receipt.name, receipt.disk.path, receipt.disk.selector,
                         deploy::name_of(receipt.verdict), receipt.error.empty() ? "" : ": " + receipt.error));
  print_line(fmt::format("  image {}", receipt.image));
  print_line(fmt::format("  started {}", receipt.started));
  if (!receipt.group.empty()) print_line(fmt::format("  one of several disks, deployed to together as {}", receipt.group));
  if (receipt.base)
    print_line(fmt::format("  {} {}", receipt.base->shared ? "shares with" : "could not share with", receipt.base->path));
  const auto& bytes = receipt.bytes;
  print_line(fmt::format("  data {}: {} verified, {} durable, {} kept in place, {} moved", human_size(bytes.total),
                         human_size(bytes.verified), human_size(bytes.durable), human_size(bytes.local),
                         human_size(bytes.moved)));
  print_line(fmt::format("  received {}; served {}", paths_text(bytes), human_size(bytes.served)));
  if (receipt.left_multicast) print("  did not keep up with the multicast stream and left it");
  for (const auto& stage : receipt.stages) print(fmt::format("  {:<10} {:8.3f} s", stage.name, stage.seconds));
  if (!receipt.read_back.empty())
    print(fmt::format("  read back: {}; free space: {}", receipt.read_back, receipt.unspecified));
  if (receipt.fit.backup_moved) print("  moved the backup partition table to the disk's end");
  if (receipt.fit.fresh_uuids) print_line(fmt::format("  new ids; the disk's is {}", receipt.disk.guid));
  if (receipt.fit.grown_partition != 0)
    print_line(fmt::format("  grew partition {} from {} to {}, file system: {}", receipt.fit.grown_partition,
                           human_size(receipt.fit.grown_from), human_size(receipt.fit.grown_to),
                           receipt.fit.grown_file_system.empty() ? "as it was" : receipt.fit.grown_file_system));
  for (const auto& mark : receipt.wiped) print_line("  wiped " + mark);
  for (const auto& file : receipt.changed_files) print("  changed " + file);
  for (const auto& peer : receipt.bad_peers) print("  altered bytes from node " + peer);
}

Result<> show(const ReceiptArguments& arguments) {
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto row, find(*store, arguments.number));
  STAMPEDE_TRY(const auto receipt, service::read_receipt(row));
  if (arguments.as_json) {
    print(as_text(row.receipt));
    return {};
  }
  print_receipt(receipt);
  return {};
}

Result<> verify(const ReceiptArguments& arguments) {
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto row, find(*store, arguments.number));
  STAMPEDE_CHECK(trust::verify(row.node, trust::kReceiptDomain, row.receipt, row.signature));
  STAMPEDE_TRY(const auto receipt, deploy::decode_receipt(row.receipt));
  if (receipt.node != trust::to_string(row.node))
    return fail(Code::signature_invalid, "receipt {} speaks of another node than the one that signed it", arguments.number);
  if (arguments.as_json)
    print_json(json::object{{"number", row.number}, {"node", receipt.node}, {"valid", true}, {"verdict", row.verdict}});
  else
    print(fmt::format("receipt {}: signed by node {}, {}", row.number, trust::short_name(row.node), row.verdict));
  return {};
}

Result<> rescue(const ReceiptArguments& arguments) {
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto row, find(*store, arguments.number));
  STAMPEDE_TRY(const auto receipt, service::read_receipt(row));
  STAMPEDE_TRY(const Bytes bytes, service::find_rescue(store->folder(), row.node, receipt.deployment));
  STAMPEDE_CHECK(replace_file(arguments.output, bytes));
  note(fmt::format("{}: what {} held before {} was deployed", arguments.output.string(), printable(receipt.disk.path),
                   printable(receipt.name)));
  return {};
}

CLI::App* add_one(CLI::App& parent, const char* name, const char* what, bool numbered,
                  const std::shared_ptr<ReceiptArguments>& arguments, Action& action,
                  Result<> (*run)(const ReceiptArguments&)) {
  auto* command = parent.add_subcommand(name, what);
  if (numbered) command->add_option("NUMBER", arguments->number, "As `stampede receipt list` shows it")->required();
  command->add_flag("--json", arguments->as_json, "As JSON on stdout");
  add_store_option(*command, arguments->store);
  command->callback([=, &action] { action = [=] { return run(*arguments); }; });
  return command;
}

}  // namespace

void add_receipt(CLI::App& app, Action& action) {
  auto* receipt = app.add_subcommand("receipt", "Reads what targets told the depot whose store is on this machine");
  receipt->require_subcommand(1);
  receipt->footer("Example: stampede receipt list");
  auto arguments = std::make_shared<ReceiptArguments>();
  add_one(*receipt, "list", "Lists the receipts in this machine's store", false, arguments, action, list)
      ->footer("Example: stampede receipt list --json");
  add_one(*receipt, "show", "Shows one receipt from this machine's store", true, arguments, action, show)
      ->footer("Example: stampede receipt show 7");
  auto* from_depot = add_one(*receipt, "rescue", "Gets what a disk held before that deployment, as its node sent it", true,
                             arguments, action, rescue);
  from_depot->add_option("FILE", arguments->output, "Where to write it, for `stampede disk restore-table`")->required();
  from_depot->footer("Example: stampede receipt rescue 7 sda.rescue");
  add_one(*receipt, "verify", "Checks the node's signature on a receipt in this machine's store", true, arguments, action,
          verify)
      ->footer("Example: stampede receipt verify 7");
}

}  // namespace stampede::tools
