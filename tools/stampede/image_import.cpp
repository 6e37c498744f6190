#include <boost/json.hpp>

#include "src/service/packaging.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string file;
  std::string name;
  bool as_json = false;
};

Result<> import(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.name));
  std::error_code ignored;
  if (!std::filesystem::exists(arguments.file, ignored)) return fail(Code::usage, "no file {}", arguments.file);
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  const Instant start = system_clock().now();
  ProgressLine line(!arguments.as_json);
  chunker::ImportOptions options;
  options.progress = [&](Offset done, Size total) { line.show("importing", done.bytes, total.bytes); };
  options.interrupted = [] { return stop_requested().load(); };
  STAMPEDE_TRY(const auto imported, service::import_image(*store, arguments.file, name, options));
  line.finish();
  const auto& report = imported.report;
  const double seconds = std::chrono::duration<double>(system_clock().now() - start).count();
  if (arguments.as_json) {
    print_json(json::object{{"name", name.text()},
                            {"image", chunker::to_string(report.image)},
                            {"disk", report.disk.bytes},
                            {"data", report.data.bytes},
                            {"zero", report.zero.bytes},
                            {"new", report.new_data.bytes},
                            {"shared", report.shared_data.bytes},
                            {"new_sealed", report.new_sealed.bytes},
                            {"new_chunks", report.new_chunks},
                            {"shared_chunks", report.shared_chunks},
                            {"seconds", seconds},
                            {"tagged", imported.tagged}});
    return {};
  }
  print(fmt::format("{} is image {}", name.text(), chunker::to_string(report.image)));
  const double ratio = report.new_sealed.bytes == 0
                           ? 0
                           : static_cast<double>(report.new_data.bytes) / static_cast<double>(report.new_sealed.bytes);
  note(fmt::format("{} disk: {} new, {} shared, {} zero; the new takes {}{} in the store; {:.1f} s",
                   human_size(report.disk.bytes), human_size(report.new_data.bytes), human_size(report.shared_data.bytes),
                   human_size(report.zero.bytes), human_size(report.new_sealed.bytes),
                   ratio > 0 ? fmt::format(" (ratio {:.2f})", ratio) : "", seconds));
  if (!imported.tagged) note(fmt::format("{} was this image already", name.text()));
  return {};
}

}  // namespace

void add_image_import(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* import_command =
      image.add_subcommand("import", "Packages a raw disk image into this machine's store; the file is only read");
  import_command->add_option("FILE", arguments->file, "Raw disk image; holes are read as zeros")->required();
  import_command->add_option("NAME:TAG", arguments->name, "What to call it, such as debian:12")->required();
  import_command->add_flag("--json", arguments->as_json, "The summary as JSON on stdout");
  import_command->footer("Example: stampede image import debian.img debian:12");
  add_store_option(*import_command, arguments->store);
  import_command->callback([arguments, &action] { action = [arguments] { return import(*arguments); }; });
}

}  // namespace stampede::tools
