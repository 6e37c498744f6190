#include <boost/json.hpp>

#include "src/service/naming.h"
#include "src/trust/keys.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string name;
  bool history = false;
  bool as_json = false;
};

void print_as_json(const service::Removed& removed) {
  json::array records, unreferred_to;
  for (const auto& row : removed.records)
    records.push_back(json::object{{"name", row.name.text()},
                                   {"image", chunker::to_string(row.image)},
                                   {"signer", trust::to_string(row.signer)},
                                   {"history", row.ended != 0}});
  for (const auto& image : removed.unreferred_to) unreferred_to.emplace_back(chunker::to_string(image));
  print_json(json::object{
      {"removed", std::move(records)}, {"history_kept", removed.history}, {"unreferred_to", std::move(unreferred_to)}});
}

Result<> remove(const Arguments& arguments) {
  STAMPEDE_TRY(const auto image, chunker::ImageRef::parse(arguments.name));
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto removed, service::remove_image(*store, image, arguments.history));
  if (arguments.as_json) {
    print_as_json(removed);
    return {};
  }
  for (const auto& row : removed.records)
    print(fmt::format("{} {} image {}", row.name.text(), row.ended == 0 ? "is no longer" : "forgets that it was",
                      chunker::to_string(row.image)));
  if (removed.history > 0)
    note(fmt::format("its history keeps {} older records and their images; --history forgets them too", removed.history));
  if (!removed.unreferred_to.empty())
    note(fmt::format("{} images have no name any more; `stampede store gc` frees what they alone take",
                     removed.unreferred_to.size()));
  return {};
}

}  // namespace

void add_image_rm(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command =
      image.add_subcommand("rm", "Takes a name away from an image of this machine's store, or an image from all its names");
  command
      ->add_option("NAME:TAG", arguments->name,
                   "The name; or name@ID, the image, under each name:tag that it has or had (ID alone: all names)")
      ->required();
  command->add_flag("--history", arguments->history, "Forget too what the name was before, and keep those images no longer");
  command->add_flag("--json", arguments->as_json, "What was removed, as JSON on stdout");
  command->footer(
      "Nothing is asked. Space is freed by `stampede store gc`, from images that no name and no history refers to.\n"
      "Images that come from a removed one stay whole.\n"
      "Example: stampede image rm debian:2026-08");
  add_store_option(*command, arguments->store);
  command->callback([arguments, &action] { action = [arguments] { return remove(*arguments); }; });
}

}  // namespace stampede::tools
