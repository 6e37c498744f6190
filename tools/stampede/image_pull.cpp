#include <boost/json.hpp>

#include "src/service/pull.h"
#include "tools/stampede/depot_options.h"
#include "tools/stampede/image.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string name, as;
  std::vector<std::string> accept;
  bool move = false;
  DepotArguments depot;
  bool as_json = false;
};

Result<service::PullOptions> read_options(const Arguments& arguments) {
  service::PullOptions options;
  STAMPEDE_CHECK(read_depot_options(arguments.depot, options));
  STAMPEDE_TRY(options.image, chunker::ImageName::parse(arguments.name));
  if (!arguments.as.empty()) {
    STAMPEDE_TRY(options.as, chunker::ImageName::parse(arguments.as));
  }
  options.move = arguments.move;
  for (const auto& text : arguments.accept) {
    const auto key = trust::parse_public_key(text);
    if (!key) return fail(Code::usage, "--accept-signer: '{}' is not a public key (64 hex digits)", text);
    options.accept.push_back(*key);
  }
  return options;
}

Result<> pull(const Arguments& arguments) {
  STAMPEDE_TRY(auto options, read_options(arguments));
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  const Instant start = system_clock().now();
  ProgressLine line(!arguments.as_json);
  options.progress = [&](Size done, Size total) { line.show("pulling", done.bytes, total.bytes); };
  STAMPEDE_TRY(const auto pulled, service::pull_image(*store, options));
  line.finish();
  const double seconds = std::chrono::duration<double>(system_clock().now() - start).count();
  const std::string name = pulled.record.name.text(), image = chunker::to_string(pulled.record.image);
  if (arguments.as_json) {
    print_json(boost::json::object{{"name", name},
                                   {"image", image},
                                   {"data", pulled.data.bytes},
                                   {"lacking", pulled.lacking.bytes},
                                   {"fetched", pulled.fetched.bytes},
                                   {"seconds", seconds},
                                   {"tagged", pulled.tagged},
                                   {"new_signer", pulled.new_signer ? trust::to_string(*pulled.new_signer) : ""}});
    return {};
  }
  print(fmt::format("{} is image {}", name, image));
  note(fmt::format("{} of {} were lacking; {} fetched; {:.1f} s", human_size(pulled.lacking.bytes),
                   human_size(pulled.data.bytes), human_size(pulled.fetched.bytes), seconds));
  if (pulled.new_signer) note(fmt::format("the store accepts signer {} from now on", trust::short_name(*pulled.new_signer)));
  return {};
}

}  // namespace

void add_image_pull(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = image.add_subcommand(
      "pull", "Fetches an image of another depot into this machine's store: what the store lacks of it");
  command->add_option("NAME:TAG", arguments->name, "The image, as the depot calls it")->required();
  command->add_option("--as", arguments->as, "Another name for it here; this store's own key signs it then")
      ->type_name("NAME:TAG");
  command->add_flag("--move", arguments->move, "The name may be another image here, and is this one afterwards");
  command
      ->add_option("--accept-signer", arguments->accept,
                   "Accept the image of this signer, from now on; those whom the join token names are accepted anyway")
      ->type_name("KEY")
      ->allow_extra_args(false);
  add_depot_options(*command, arguments->depot);
  add_store_option(*command, arguments->store);
  command->add_flag("--json", arguments->as_json, "The summary as JSON on stdout");
  command->footer(
      "What was fetched stays when it is interrupted: the next pull fetches the rest.\n"
      "Example: stampede image pull debian:12 --depot 10.0.0.1 --token-file join.token");
  command->callback([arguments, &action] { action = [arguments] { return pull(*arguments); }; });
}

}  // namespace stampede::tools
