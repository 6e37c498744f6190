#include <boost/json.hpp>

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

json::object entry(const cache::TagRow& row, const std::string& problem) {
  return {{"name", row.name.text()},
          {"image", chunker::to_string(row.image)},
          {"from", to_rfc3339(row.added)},
          {"until", row.ended == 0 ? json::value(nullptr) : json::value(to_rfc3339(row.ended))},
          {"signer", trust::to_string(row.signer)},
          {"problem", problem.empty() ? json::value(nullptr) : json::value(problem)}};
}

Result<> show_history(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.name));
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto rows, store->catalog().tag_history(name));
  if (rows.empty())
    return fail(Code::not_found, "no image {} in {}; `stampede image list` shows what is", name.text(),
                store->folder().string());
  json::array all;
  std::size_t problems = 0;
  if (!arguments.as_json) print(fmt::format("{:<20}  {:<20}  {:<16}  {}", "FROM", "UNTIL", "IMAGE", "SIGNED BY"));
  for (const auto& row : rows) {
    const auto sound = service::verify(*store, row);
    if (!sound) ++problems;
    const std::string problem = sound ? "" : sound.error().message;
    if (arguments.as_json)
      all.push_back(entry(row, problem));
    else
      print(fmt::format("{:<20}  {:<20}  {:.16}  {}{}", to_rfc3339(row.added), row.ended == 0 ? "" : to_rfc3339(row.ended),
                        chunker::to_string(row.image), trust::short_name(row.signer),
                        problem.empty() ? "" : "  (" + problem + ")"));
  }
  if (arguments.as_json) print_json(all);
  if (problems > 0) return fail(Code::signature_invalid, "{} of the records of {} cannot be trusted", problems, name.text());
  return {};
}

}  // namespace

void add_image_history(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = image.add_subcommand(
      "history", "Shows what images a name of this machine's store has been, since when, signed by whom");
  command->add_option("NAME:TAG", arguments->name, "The name, such as debian:stable")->required();
  command->add_flag("--json", arguments->as_json, "As a JSON array on stdout, oldest first");
  command->footer("Example: stampede image history debian:stable");
  add_store_option(*command, arguments->store);
  command->callback([arguments, &action] { action = [arguments] { return show_history(*arguments); }; });
}

}  // namespace stampede::tools
