#include <boost/json.hpp>

#include "chunker/seal.h"
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

struct Arguments {
  std::filesystem::path store;
  std::string file;
  std::string name;
  std::string from_disk;
  std::string format, max_size = "16Ti", casync_store;
  int level = chunker::kDefaultLevel;
  unsigned threads = 0;
  bool all_blocks = false;
  bool generalise = false;
  WordArguments words;
  bool as_json = false;
};

constexpr std::size_t kMostShown = 8;
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

json::object as_json(const service::Imported& imported, std::string_view format, double seconds) {
  const chunker::ImportReport& report = imported.report;
  return {{"name", imported.record.name.text()},
          {"image", chunker::to_string(report.image)},
          {"format", format},
          {"disk", report.disk.bytes},
          {"data", report.data.bytes},
          {"zero", report.zero.bytes},
          {"unspecified", report.unspecified.bytes},
          {"left_out", report.left_out.bytes},
          {"new", report.new_data.bytes},
          {"shared", report.shared_data.bytes},
          {"new_sealed", report.new_sealed.bytes},
          {"new_chunks", report.new_chunks},
          {"shared_chunks", report.shared_chunks},
          {"taken_whole", json::array(imported.taken_whole.begin(), imported.taken_whole.end())},
          {"seconds", seconds},
          {"tagged", imported.tagged},
          {"roles", json::value_from(imported.record.roles)},
          {"labels", json::value_from(imported.record.labels)},
          {"generalised", generalised(imported)},
          {"lint", imported.lint ? json::value(to_json(*imported.lint)) : json::value(nullptr)}};
}

void tell(const service::Imported& imported, double seconds) {
  const chunker::ImportReport& report = imported.report;
  const std::string name = imported.record.name.text();
  print(fmt::format("{} is image {}", name, chunker::to_string(report.image)));
  const double ratio = report.new_sealed.bytes == 0
                           ? 0
                           : static_cast<double>(report.new_data.bytes) / static_cast<double>(report.new_sealed.bytes);
  note(fmt::format("{} disk: {} new, {} shared, {} zero; the new takes {}{} in the store; {:.1f} s",
                   human_size(report.disk.bytes), human_size(report.new_data.bytes), human_size(report.shared_data.bytes),
                   human_size(report.zero.bytes), human_size(report.new_sealed.bytes),
                   ratio > 0 ? fmt::format(" (ratio {:.2f})", ratio) : "", seconds));
  if (report.unspecified != Size{})
    note(fmt::format("{} of free space left out, {} of which the file stores", human_size(report.unspecified.bytes),
                     human_size(report.left_out.bytes)));
  for (const std::string& why : imported.taken_whole) note("free space is taken along too: " + why);
  if (!imported.tagged) note(fmt::format("{} was this image already", name));
  if (imported.generalised) note_generalised(*imported.generalised);
  note_lint(imported.lint, kMostShown);
}

// A disk, held until it is packaged; or what the file is unpacked to.
struct Source {
  service::ImageSource image;
  std::string format;
  formats::RawDisk unpacked{};
};

Result<Source> open_source(const Arguments& arguments, formats::UnpackOptions unpacking) {
  if (arguments.from_disk.empty()) {
    STAMPEDE_TRY(auto disk, open_disk(arguments, std::move(unpacking)));
    const std::string format = is_casync(arguments) ? std::string(kCasync) : formats::name_of(disk.format);
    return Source{{disk.path, disk.name, static_cast<bool>(disk.spool)}, format, std::move(disk)};
  }
  STAMPEDE_TRY(const auto selector, disk::Selector::parse(arguments.from_disk));
  STAMPEDE_TRY(auto held, hold_disk(selector));
  return Source{std::move(held), formats::name_of({})};
}

Result<> import(const Arguments& given) {
  Arguments arguments = given;
  // Of a disk only the name is told.
  if (!arguments.from_disk.empty()) arguments.file.swap(arguments.name);
  if (!arguments.from_disk.empty() && !arguments.file.empty())
    return fail(Code::usage, "a file and --from-disk: give one of them");
  if (arguments.name.empty()) return fail(Code::usage, "what is it to be called? give NAME:TAG");
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.name));
  STAMPEDE_TRY(auto unpacking, unpack_options(arguments));
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  const Instant start = system_clock().now();
  ProgressLine line(!arguments.as_json);
  service::PackagingOptions options;
  STAMPEDE_TRY(options.words, read_words(*store, arguments.words));
  options.all_blocks = arguments.all_blocks;
  options.generalise = arguments.generalise;
  options.import.level = arguments.level;
  options.import.threads = arguments.threads;
  options.import.progress = [&](Offset done, Size total) { line.show("importing", done.bytes, total.bytes); };
  options.import.interrupted = is_interrupted;
  unpacking.folder = store->folder();
  unpacking.progress = [&](Size done, Size total) { line.show("unpacking", done.bytes, total.bytes); };
  STAMPEDE_TRY(const auto source, open_source(arguments, std::move(unpacking)));
  STAMPEDE_TRY(const auto imported, service::import_image(*store, source.image, name, options));
  line.finish();
  const double seconds = std::chrono::duration<double>(system_clock().now() - start).count();
  if (arguments.as_json)
    print_json(as_json(imported, source.format, seconds));
  else
    tell(imported, seconds);
  return {};
}

}  // namespace

void add_image_import(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* import_command =
      image.add_subcommand("import", "Packages a disk image, or a disk, into this machine's store; it is only read");
  import_command->add_option("FILE", arguments->file, "Disk image or block device; - is standard input")->required();
  import_command->add_option("NAME:TAG", arguments->name, "What to call it, such as debian:12");
  import_command->add_option("--from-disk", arguments->from_disk,
                             "Instead of a file, the disk that is meant (see deploy --disk); nobody may use it meanwhile");
  import_command->add_option("--format", arguments->format,
                             "What the file is, where its name does not tell: casync, " + formats::format_names());
  import_command->add_option("--max-size", arguments->max_size, "Refuse a larger disk in a file that is not raw")
      ->capture_default_str();
  import_command
      ->add_option(
          "--casync-store", arguments->casync_store,
          "Where casync's index (.caibx, a file or http:// address) has its chunks; default.castr beside it unless given")
      ->type_name("DIR|URL");
  import_command->add_flag("--generalise,--generalize", arguments->generalise,
                           "Package a copy without what copies must not share (see `image lint`); FILE stays as it is");
  import_command->add_flag("--all-blocks", arguments->all_blocks,
                           "Free blocks of file systems and what was swapped out, too: all of the disk, as it is");
  import_command
      ->add_option("--level", arguments->level,
                   "Compression: 1 (fast) to 19; 0: none, which is three times as large and takes less processor "
                   "time where it is written: for who sends nothing over a network")
      ->check(CLI::Range(0, 19))
      ->capture_default_str();
  import_command->add_option("--threads", arguments->threads, "That hash and compress; 0: as many as there are cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  add_word_options(*import_command, arguments->words);
  import_command->add_flag("--json", arguments->as_json, "The summary as JSON on stdout");
  import_command->footer(
      "Examples: stampede image import debian.qcow2 debian:12\n"
      "          stampede image import golden.img web:2026-11 --generalise\n"
      "          stampede image import --from-disk serial:S4X9NF0M golden:2026-11");
  add_store_option(*import_command, arguments->store);
  import_command->callback([arguments, &action] { action = [arguments] { return import(*arguments); }; });
}

}  // namespace stampede::tools
