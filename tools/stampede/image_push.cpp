#include <boost/json.hpp>

#include "src/service/push.h"
#include "tools/stampede/depot_options.h"
#include "tools/stampede/image.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string name;
  bool move = false;
  DepotArguments depot;
  bool as_json = false;
};

void report(const Arguments& arguments, const service::Pushed& pushed, double seconds) {
  const std::string name = pushed.record.name.text(), image = chunker::to_string(pushed.record.image);
  if (arguments.as_json) {
    return print_json(boost::json::object{{"name", name},
                                          {"image", image},
                                          {"data", pushed.data.bytes},
                                          {"sent", pushed.sent.bytes},
                                          {"chunks", pushed.chunks},
                                          {"seconds", seconds}});
  }
  print(fmt::format("{} is image {} at {}", name, image, arguments.depot.depot));
  note(fmt::format("{} of data; {} sent, in {} chunks; {:.1f} s", human_size(pushed.data.bytes),
                   human_size(pushed.sent.bytes), pushed.chunks, seconds));
}

Result<> push(const Arguments& arguments) {
  service::PushOptions options;
  STAMPEDE_CHECK(read_depot_options(arguments.depot, options));
  STAMPEDE_TRY(options.image, chunker::ImageName::parse(arguments.name));
  options.move = arguments.move;
  catch_signals();
  const Instant start = system_clock().now();
  ProgressLine line(!arguments.as_json);
  options.progress = [&](Size done, Size total) { line.show("pushing", done.bytes, total.bytes); };
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto pushed, service::push_image(*store, options));
  line.finish();
  report(arguments, pushed, std::chrono::duration<double>(system_clock().now() - start).count());
  return {};
}

}  // namespace

void add_image_push(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command =
      image.add_subcommand("push", "Sends an image of this machine's store to a depot: what the depot lacks of it");
  command->add_option("NAME:TAG", arguments->name, "The image; the depot has it under the same name")->required();
  command->add_flag("--move", arguments->move, "The name may be another image at the depot, and is this one afterwards");
  add_depot_options(*command, arguments->depot);
  add_store_option(*command, arguments->store);
  command->add_flag("--json", arguments->as_json, "The summary as JSON on stdout");
  command->footer(
      "The token is one of `stampede token create --push`; the depot accepts images of the signers in its keys/signers.\n"
      "Example: stampede image push debian:12 --depot 10.0.0.1 --token-file push.token");
  command->callback([arguments, &action] { action = [arguments] { return push(*arguments); }; });
}

}  // namespace stampede::tools
