#include <boost/json.hpp>

#include "chunker/package.h"
#include "src/base/text.h"
#include "src/service/library.h"
#include "src/service/naming.h"
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

// What disks and operators wrote goes to a terminal as text alone.
void line(std::string_view text) { print(printable(text)); }

void show_partitions(const volume::ImageFacts& facts) {
  for (const auto& partition : facts.partitions)
    line(fmt::format("  partition {:<2} {:>12} at {:>12}  {:<8} {}", partition.number, human_size(partition.length.bytes),
                     partition.offset.bytes, partition.filesystem,
                     partition.label.empty() ? partition.name : partition.label));
}

void show_system(const volume::ImageFacts& facts) {
  if (facts.root)
    line(fmt::format("  root file system: partition {}, {}{}", facts.root->partition, facts.root->filesystem,
                     facts.root->clean ? "" : ", not clean"));
  line(fmt::format("  architecture {}, firmware {}, cloud-init {}", facts.architecture.value_or("unknown"),
                   facts.firmware.empty() ? "unknown" : fmt::format("{}", fmt::join(facts.firmware, " and ")),
                   !facts.cloud_init   ? "unknown"
                   : *facts.cloud_init ? "yes"
                                       : "no"));
  if (const auto pretty = facts.os_release.find("PRETTY_NAME"); pretty != facts.os_release.end())
    line("  system " + pretty->second);
  if (!facts.kernels.empty()) line(fmt::format("  kernels {}", fmt::join(facts.kernels, ", ")));
}

std::string text_of(const service::Relative& relative) {
  return fmt::format("{:.16} {}", chunker::to_string(relative.image),
                     relative.names.empty() ? "(not in this store)" : fmt::format("{}", fmt::join(relative.names, ", ")));
}

void show_words(const chunker::TagRecord& record, const service::Lineage& lineage) {
  if (!record.roles.empty()) line(fmt::format("  roles {}", fmt::join(record.roles, ", ")));
  for (const auto& [key, value] : record.labels) line(fmt::format("  label {}={}", key, value));
  line(fmt::format("  named {}", fmt::join(lineage.names, ", ")));
  for (std::size_t i = 0; i < lineage.ancestors.size(); ++i)
    line(fmt::format("  {} {}", i == 0 ? "parent" : "its parent", text_of(lineage.ancestors[i])));
  for (const auto& child : lineage.children) line(fmt::format("  child {}", text_of(child)));
}

json::array relatives_json(const std::vector<service::Relative>& relatives) {
  json::array out;
  for (const auto& relative : relatives)
    out.push_back(json::object{{"image", chunker::to_string(relative.image)}, {"names", json::value_from(relative.names)}});
  return out;
}

void show_json(const service::Found& image, const service::Lineage& lineage, const chunker::Root& root) {
  json::object object = to_json(image.record);
  object["signer"] = trust::to_string(image.signed_record.signer);
  object["segments"] = root.segments.size();
  object["spans"] = root.span_count();
  object["names"] = json::value_from(lineage.names);
  object["ancestors"] = relatives_json(lineage.ancestors);
  object["children"] = relatives_json(lineage.children);
  print_json(object);
}

Result<> show(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageRef::parse(arguments.name));
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto image, service::find_image(*store, name));
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store->chunks(), image.record.image));
  STAMPEDE_TRY(const auto lineage, service::lineage(*store, image.record));
  if (arguments.as_json) {
    show_json(image, lineage, manifest.root);
    return {};
  }
  const auto& record = image.record;
  line(fmt::format("{}  {}", record.name.text(), chunker::to_string(record.image)));
  line(fmt::format("  created {} from {}", record.created, record.source));
  line(fmt::format("  signed by {} at {}", trust::short_name(image.signed_record.signer), record.tagged));
  line(fmt::format("  disk {}, data {}, {} table, {} bytes a sector, {} spans", human_size(record.disk_size.bytes),
                   human_size(record.data_size.bytes), record.facts.table.empty() ? "no" : record.facts.table,
                   record.facts.sector_size, manifest.root.span_count()));
  show_partitions(record.facts);
  show_system(record.facts);
  show_words(record, lineage);
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
