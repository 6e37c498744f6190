#include <boost/json.hpp>

#include "src/service/library.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct Arguments {
  std::filesystem::path store;
  bool as_json = false;
};

Result<> list(const Arguments& arguments) {
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto images, service::list_images(*store));
  json::array all;
  if (!arguments.as_json && !images.images.empty())
    print(fmt::format("{:<28} {:<16} {:>10} {:>10}  {:<20}  {}", "NAME", "IMAGE", "DISK", "DATA", "CREATED", "SYSTEM"));
  for (const auto& image : images.images) {
    const auto& record = image.record;
    if (arguments.as_json) {
      all.push_back(to_json(record));
      continue;
    }
    const auto pretty = record.facts.os_release.find("PRETTY_NAME");
    print(fmt::format("{:<28} {:<16} {:>10} {:>10}  {:<20}  {}", record.name.text(),
                      chunker::to_string(record.image).substr(0, 16), human_size(record.disk_size.bytes),
                      human_size(record.data_size.bytes), record.created,
                      pretty == record.facts.os_release.end() ? "" : pretty->second));
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
  auto* list_command = image.add_subcommand("list", "Lists the images in this machine's store");
  list_command->add_flag("--json", arguments->as_json, "As a JSON array on stdout");
  list_command->footer("Example: stampede image list --json | jq -r '.[].name'");
  add_store_option(*list_command, arguments->store);
  list_command->callback([arguments, &action] { action = [arguments] { return list(*arguments); }; });
}

}  // namespace stampede::tools
