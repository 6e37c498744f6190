#include <boost/json.hpp>

#include "src/base/text.h"
#include "src/casync/import.h"
#include "src/formats/raw_disk.h"
#include "src/service/packaging.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

constexpr std::size_t kMostShown = 8;

struct Arguments {
  std::filesystem::path store;
  std::string file;
  std::string name;
  std::string format, max_size = "16Ti", casync_store;
  bool as_json = false;
  bool generalise = false;
};

constexpr std::string_view kCasync = "casync";

bool is_interrupted() { return stop_requested().load(); }

// What the options say of how the file is read.
Result<formats::UnpackOptions> unpack_options(const Arguments& arguments) {
  formats::UnpackOptions options;
  if (!arguments.format.empty() && arguments.format != kCasync) {
    STAMPEDE_TRY(options.format, formats::parse_format(arguments.format));
  }
  STAMPEDE_TRY(options.limits.max_size, parse_size(arguments.max_size));
  options.interrupted = is_interrupted;
  return options;
}

bool is_casync(const Arguments& arguments) {
  return arguments.format == kCasync || (arguments.format.empty() && arguments.file.ends_with(".caibx"));
}

Result<formats::RawDisk> open_disk(const Arguments& arguments, formats::UnpackOptions options) {
  if (!is_casync(arguments)) {
    if (!arguments.casync_store.empty()) return fail(Code::usage, "--casync-store is for an index, a .caibx file");
    return formats::open_raw_disk(arguments.file, options);
  }
  casync::ImportOptions unpacking{
      .folder = options.folder, .limits = options.limits, .progress = {}, .interrupted = options.interrupted};
  unpacking.progress = [&](Offset done, Size total) { options.progress({done.bytes}, total); };
  STAMPEDE_TRY(File spool, casync::unpack_index(arguments.file, arguments.casync_store, unpacking));
  const std::filesystem::path disk = spool.path();
  return formats::RawDisk{disk, {}, std::filesystem::path(arguments.file).filename().string(), std::move(spool)};
}

// What --generalise has done; null without it.
json::value generalised(const service::Imported& imported) {
  if (!imported.generalised) return nullptr;
  json::array removed, written;
  for (const auto& one : imported.generalised->removed) removed.emplace_back(printable(one.path));
  for (const auto& path : imported.generalised->written) written.emplace_back(path);
  return json::object{{"removed", std::move(removed)}, {"written", std::move(written)}};
}

void note_generalised(const volume::Generalised& done) {
  if (done.removed.empty()) return note("generalise: there was nothing to remove");
  note(fmt::format("generalise: {} removed from the packaged copy, such as {}", done.removed.size(),
                   printable(done.removed.front().path)));
  for (const auto& path : done.written) note("generalise: wrote " + path);
}

Result<> import(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.name));
  STAMPEDE_TRY(auto unpacking, unpack_options(arguments));
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  const Instant start = system_clock().now();
  ProgressLine line(!arguments.as_json);
  service::PackageOptions options;
  options.generalise = arguments.generalise;
  options.progress = [&](Offset done, Size total) { line.show("importing", done.bytes, total.bytes); };
  options.interrupted = is_interrupted;
  unpacking.folder = store->folder();
  unpacking.progress = [&](Size done, Size total) { line.show("unpacking", done.bytes, total.bytes); };
  STAMPEDE_TRY(const auto disk, open_disk(arguments, unpacking));
  STAMPEDE_TRY(const auto imported,
               service::import_image(*store, {disk.path, disk.name, static_cast<bool>(disk.spool)}, name, options));
  line.finish();
  const auto& report = imported.report;
  const double seconds = std::chrono::duration<double>(system_clock().now() - start).count();
  if (arguments.as_json) {
    print_json(json::object{{"name", name.text()},
                            {"image", chunker::to_string(report.image)},
                            {"format", is_casync(arguments) ? std::string(kCasync) : formats::name_of(disk.format)},
                            {"disk", report.disk.bytes},
                            {"data", report.data.bytes},
                            {"zero", report.zero.bytes},
                            {"new", report.new_data.bytes},
                            {"shared", report.shared_data.bytes},
                            {"new_sealed", report.new_sealed.bytes},
                            {"new_chunks", report.new_chunks},
                            {"shared_chunks", report.shared_chunks},
                            {"seconds", seconds},
                            {"tagged", imported.tagged},
                            {"generalised", generalised(imported)},
                            {"lint", imported.lint ? json::value(to_json(*imported.lint)) : json::value(nullptr)}});
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
  if (imported.generalised) note_generalised(*imported.generalised);
  note_lint(imported.lint, kMostShown);
  return {};
}

}  // namespace

void add_image_import(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* import_command =
      image.add_subcommand("import", "Packages a disk image into this machine's store; the file is only read");
  import_command->add_option("FILE", arguments->file, "Disk image or block device; - is standard input")->required();
  import_command->add_option("NAME:TAG", arguments->name, "What to call it, such as debian:12")->required();
  import_command->add_option("--format", arguments->format,
                             "What the file is, where its name does not tell: casync, " + formats::format_names());
  import_command->add_option("--max-size", arguments->max_size, "Refuse a larger disk in a file that is not raw")
      ->capture_default_str();
  import_command
      ->add_option(
          "--casync-store", arguments->casync_store,
          "Where casync's index (.caibx, a file or http:// address) has its chunks; default.castr beside it unless given")
      ->type_name("DIR|URL");
  import_command->add_flag("--json", arguments->as_json, "The summary as JSON on stdout");
  import_command->add_flag("--generalise,--generalize", arguments->generalise,
                           "Package a copy without what copies must not share (see `image lint`); FILE stays as it is");
  import_command->footer(
      "Examples: stampede image import debian.qcow2 debian:12\n"
      "          stampede image import golden.img web:2026-11 --generalise");
  add_store_option(*import_command, arguments->store);
  import_command->callback([arguments, &action] { action = [arguments] { return import(*arguments); }; });
}

}  // namespace stampede::tools
