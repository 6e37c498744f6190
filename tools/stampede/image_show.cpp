#include <boost/json.hpp>

#include "chunker/package.h"
#include "src/service/library.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string name;
  bool as_json = false;
};

void show_partitions(const volume::ImageFacts& facts) {
  for (const auto& partition : facts.partitions)
    print(fmt::format("  partition {:<2} {:>12} at {:>12}  {:<8} {}", partition.number, human_size(partition.length.bytes),
                      partition.offset.bytes, partition.filesystem,
                      partition.label.empty() ? partition.name : partition.label));
}

Result<> show(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageRef::parse(arguments.name));
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto image, service::find_image(*store, name));
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store->chunks(), image.record.image));
  const auto& record = image.record;
  if (arguments.as_json) {
    json::object object = to_json(record);
    object["signer"] = trust::to_string(image.signed_record.signer);
    object["segments"] = manifest.root.segments.size();
    object["spans"] = manifest.root.span_count();
    print_json(object);
    return {};
  }
  const auto& facts = record.facts;
  print(fmt::format("{}  {}", record.name.text(), chunker::to_string(record.image)));
  print(fmt::format("  created {} from {}, signed by {}", record.created, record.source,
                    trust::short_name(image.signed_record.signer)));
  print(fmt::format("  disk {}, data {}, {} table, {} bytes a sector, {} spans", human_size(record.disk_size.bytes),
                    human_size(record.data_size.bytes), facts.table.empty() ? "no" : facts.table, facts.sector_size,
                    manifest.root.span_count()));
  show_partitions(facts);
  if (facts.root)
    print(fmt::format("  root file system: partition {}, {}{}", facts.root->partition, facts.root->filesystem,
                      facts.root->clean ? "" : ", not clean"));
  print(fmt::format("  architecture {}, firmware {}, cloud-init {}", facts.architecture.value_or("unknown"),
                    facts.firmware.empty() ? "unknown" : fmt::format("{}", fmt::join(facts.firmware, " and ")),
                    !facts.cloud_init   ? "unknown"
                    : *facts.cloud_init ? "yes"
                                        : "no"));
  if (const auto pretty = facts.os_release.find("PRETTY_NAME"); pretty != facts.os_release.end())
    print("  system " + pretty->second);
  STAMPEDE_TRY(const auto history, store->catalog().tag_history(record.name));
  for (std::size_t i = 0; i + 1 < history.size(); ++i)
    print(fmt::format("  signed before by {}", trust::short_name(history[i].signer)));
  return {};
}

}  // namespace

void add_image_show(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* show_command = image.add_subcommand("show", "Shows what is known of an image in this machine's store");
  add_image_argument(*show_command, arguments->name);
  show_command->add_flag("--json", arguments->as_json, "As JSON on stdout");
  show_command->footer("Example: stampede image show debian:12");
  add_store_option(*show_command, arguments->store);
  show_command->callback([arguments, &action] { action = [arguments] { return show(*arguments); }; });
}

}  // namespace stampede::tools
