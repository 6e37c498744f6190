#include <boost/json.hpp>

#include "src/service/naming.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string source, name;
  WordArguments words;
  bool as_json = false;
};

Result<> tag(const Arguments& arguments) {
  STAMPEDE_TRY(const auto source, chunker::ImageRef::parse(arguments.source));
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.name));
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto words, read_words(*store, arguments.words));
  STAMPEDE_TRY(const auto tagged, service::tag_image(*store, source, name, words));
  const bool moved = tagged.before && *tagged.before != tagged.record.image;
  if (arguments.as_json) {
    json::object object = to_json(tagged.record);
    object["before"] = moved ? json::value(chunker::to_string(*tagged.before)) : json::value(nullptr);
    object["changed"] = tagged.changed;
    print_json(object);
    return {};
  }
  print(fmt::format("{} is image {}", name.text(), chunker::to_string(tagged.record.image)));
  if (moved)
    note(fmt::format("it was image {}; `stampede image history {}`", chunker::to_string(*tagged.before), name.text()));
  if (!tagged.changed) note(fmt::format("{} was this image already", name.text()));
  return {};
}

}  // namespace

void add_image_tag(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = image.add_subcommand(
      "tag", "Gives an image of this machine's store another name, moves a name to it, or says something new of it");
  command->add_option("SOURCE", arguments->source, "The image: name:tag, name@ID by digits of its id, or all of them")
      ->required();
  command->add_option("NAME:TAG", arguments->name, "What it is called from now on")->required();
  add_word_options(*command, arguments->words);
  command->add_flag("--json", arguments->as_json, "The new record as JSON on stdout");
  command->footer("Example: stampede image tag debian:2026-11 debian:stable --move");
  add_store_option(*command, arguments->store);
  command->callback([arguments, &action] { action = [arguments] { return tag(*arguments); }; });
}

}  // namespace stampede::tools
