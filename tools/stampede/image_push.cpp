#include <boost/json.hpp>

#include "src/service/capture.h"
#include "src/service/push.h"
#include "tools/stampede/depot_options.h"
#include "tools/stampede/image.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string name, from_disk;
  bool all_blocks = false;
  bool move = false;
  DepotArguments depot;
  bool as_json = false;
};

// What was sent, of what.
struct Sent {
  chunker::TagRecord record;
  Size data, sent;
};

void report(const Arguments& arguments, const Sent& sent, double seconds) {
  const std::string name = sent.record.name.text(), image = chunker::to_string(sent.record.image);
  if (arguments.as_json) {
    return print_json(boost::json::object{
        {"name", name}, {"image", image}, {"data", sent.data.bytes}, {"sent", sent.sent.bytes}, {"seconds", seconds}});
  }
  print(fmt::format("{} is image {} at {}", name, image, arguments.depot.depot));
  note(fmt::format("{} of data; {} sent; {:.1f} s", human_size(sent.data.bytes), human_size(sent.sent.bytes), seconds));
}

Result<Sent> push(const Arguments& arguments, const chunker::ImageName& name, ProgressLine& line) {
  service::PushOptions options;
  STAMPEDE_CHECK(read_depot_options(arguments.depot, options));
  options.image = name;
  options.move = arguments.move;
  options.progress = [&](Size done, Size total) { line.show("pushing", done.bytes, total.bytes); };
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(auto pushed, service::push_image(*store, options));
  return Sent{std::move(pushed.record), pushed.data, pushed.sent};
}

// A disk of this machine, held until it is sent; or a raw file.
Result<service::ImageSource> hold(const disk::Selector& selector) {
  if (const auto file = selector.file()) return service::ImageSource(std::filesystem::path(*file));
  return hold_disk(selector);
}

Result<Sent> capture(const Arguments& arguments, const chunker::ImageName& name, ProgressLine& line) {
  service::CaptureOptions options;
  STAMPEDE_CHECK(read_depot_options(arguments.depot, options));
  STAMPEDE_TRY(const auto selector, disk::Selector::parse(arguments.from_disk));
  options.name = name;
  options.move = arguments.move;
  options.packaging.all_blocks = arguments.all_blocks;
  options.packaging.import.progress = [&](Offset done, Size total) { line.show("capturing", done.bytes, total.bytes); };
  STAMPEDE_TRY(const auto source, hold(selector));
  STAMPEDE_TRY(auto captured, service::capture_image(source, options));
  line.finish();
  for (const std::string& why : captured.taken_whole) note("free space is taken along too: " + why);
  return Sent{std::move(captured.record), captured.report.data, captured.sent};
}

Result<> run(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.name));
  catch_signals();
  const Instant start = system_clock().now();
  ProgressLine line(!arguments.as_json);
  const auto sent = arguments.from_disk.empty() ? push(arguments, name, line) : capture(arguments, name, line);
  line.finish();
  if (!sent) return pass(sent.error());
  report(arguments, *sent, std::chrono::duration<double>(system_clock().now() - start).count());
  return {};
}

}  // namespace

void add_image_push(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = image.add_subcommand(
      "push", "Sends an image of this machine's store, or one of its disks, to a depot: what the depot lacks of it");
  command->add_option("NAME:TAG", arguments->name, "The image; the depot has it under the same name")->required();
  command
      ->add_option("--from-disk", arguments->from_disk,
                   "This disk of THIS machine, which is only read, instead of an image of its store; the depot signs it: "
                   "serial:…, wwn:…, dev:/dev/…, or file:/…")
      ->type_name("SELECTOR");
  command->add_flag("--all-blocks", arguments->all_blocks, "Of a disk free space too, as it is");
  command->add_flag("--move", arguments->move, "The name may be another image at the depot, and is this one afterwards");
  add_depot_options(*command, arguments->depot);
  add_store_option(*command, arguments->store);
  command->add_flag("--json", arguments->as_json, "The summary as JSON on stdout");
  command->footer(
      "The token is one of `stampede token create --push`; the depot accepts images of the signers in its keys/signers.\n"
      "Example: stampede image push debian:12 --depot 10.0.0.1 --token-file push.token");
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace stampede::tools
