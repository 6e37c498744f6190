#include <fnmatch.h>

#include <algorithm>
#include <boost/json.hpp>

#include "src/base/text.h"
#include "src/service/library.h"
#include "src/trust/keys.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string pattern, role;
  std::vector<std::string> labels;
  bool as_json = false;
};

// "debian" means all its tags.
bool is_called(const chunker::ImageName& name, const std::string& pattern) {
  const std::string whole = pattern.contains(':') ? pattern : pattern + ":*";
  return pattern.empty() || ::fnmatch(whole.c_str(), name.text().c_str(), 0) == 0;
}

bool has_label(const chunker::TagRecord& record, std::string_view wanted) {
  const std::size_t equals = wanted.find('=');
  const auto found = record.labels.find(std::string(wanted.substr(0, equals)));
  return found != record.labels.end() && (equals == wanted.npos || found->second == wanted.substr(equals + 1));
}

bool is_wanted(const chunker::TagRecord& record, const Arguments& arguments) {
  return is_called(record.name, arguments.pattern) &&
         (arguments.role.empty() || std::ranges::find(record.roles, arguments.role) != record.roles.end()) &&
         std::ranges::all_of(arguments.labels, [&](const auto& label) { return has_label(record, label); });
}

void print_line(const service::Found& image) {
  const auto& record = image.record;
  const auto pretty = record.facts.os_release.find("PRETTY_NAME");
  print(printable(fmt::format("{:<28} {:.16} {:>9} {:>9}  {:.10}  {:<16}  {:<12}  {}", record.name.text(),
                              chunker::to_string(record.image), human_size(record.disk_size.bytes),
                              human_size(record.data_size.bytes), record.created,
                              trust::short_name(image.signed_record.signer), fmt::join(record.roles, ","),
                              pretty == record.facts.os_release.end() ? "" : pretty->second)));
}

Result<> list(const Arguments& arguments) {
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(auto images, service::list_images(*store));
  std::erase_if(images.images, [&](const auto& image) { return !is_wanted(image.record, arguments); });
  json::array all;
  if (!arguments.as_json && !images.images.empty())
    print(fmt::format("{:<28} {:<16} {:>9} {:>9}  {:<10}  {:<16}  {:<12}  {}", "NAME", "IMAGE", "DISK", "DATA", "CREATED",
                      "SIGNED BY", "ROLES", "SYSTEM"));
  for (const auto& image : images.images) {
    if (!arguments.as_json) {
      print_line(image);
      continue;
    }
    json::object object = to_json(image.record);
    object["signer"] = trust::to_string(image.signed_record.signer);
    all.push_back(std::move(object));
  }
  if (arguments.as_json) print_json(all);
  for (const auto& problem : images.problems) note(problem);
  if (!images.problems.empty())
    return fail(Code::store_damaged, "{} of the images in {} cannot be read", images.problems.size(),
                store->folder().string());
  return {};
}

}  // namespace

void add_image_list(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* list_command = image.add_subcommand("list", "Lists the images in this machine's store, all or some of them");
  list_command->add_option("NAME", arguments->pattern, "Only these: a name or name:tag, in which * and ? stand for others");
  list_command->add_option("--role", arguments->role, "Only those with this role")->type_name("ROLE");
  list_command->add_option("--label", arguments->labels, "Only those with this label; may be given several times")
      ->type_name("KEY[=VALUE]")
      ->allow_extra_args(false);
  list_command->add_flag("--json", arguments->as_json, "As a JSON array on stdout");
  list_command->footer(
      "Examples: stampede image list 'debian:2026-*' --role web\n"
      "          stampede image list --json | jq -r '.[].name'");
  add_store_option(*list_command, arguments->store);
  list_command->callback([arguments, &action] { action = [arguments] { return list(*arguments); }; });
}

}  // namespace stampede::tools
