#include "chunker/package.h"
#include "src/service/library.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string name;
  std::string output;
};

Result<> export_to(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageRef::parse(arguments.name));
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto image, service::hold_image(*store, name));
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store->chunks(), image.record.image));
  ProgressLine line(true);
  chunker::ExportOptions options;
  options.progress = [&](Offset done, Size total) { line.show("exporting", done.bytes, total.bytes); };
  options.interrupted = [] { return stop_requested().load(); };
  return chunker::export_image(manifest, store->chunks(), arguments.output, options);
}

}  // namespace

void add_image_export(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* export_command =
      image.add_subcommand("export", "Writes an image from this machine's store into a new file, byte-exact and sparse");
  add_image_argument(*export_command, arguments->name);
  export_command->add_option("--output", arguments->output, "The file to make; refused if it exists")->required();
  export_command->footer("Example: stampede image export debian:12 --output debian.img");
  add_store_option(*export_command, arguments->store);
  export_command->callback([arguments, &action] { action = [arguments] { return export_to(*arguments); }; });
}

}  // namespace stampede::tools
