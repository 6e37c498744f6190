#include <fcntl.h>
#include <unistd.h>

#include "chunker/package.h"
#include "src/casync/export.h"
#include "src/formats/convert.h"
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
  std::string casync_store;
  std::string format;
};

// For casync: an index, and the chunks that its store lacks.
Result<> export_index(const Arguments& arguments, cache::Store& store, const chunker::ImageId& image,
                      const chunker::ExportOptions& options, ProgressLine& line) {
  const std::filesystem::path index = arguments.output;
  const auto folder = arguments.casync_store.empty() ? index.parent_path() / casync::kDefaultStore
                                                     : std::filesystem::path(arguments.casync_store);
  STAMPEDE_TRY(const auto exported, casync::export_index(store.chunks(), image, index, folder, options));
  line.finish();
  note(fmt::format("{} chunks; {} were new to {} and take {}", exported.chunks, exported.new_chunks, folder.string(),
                   human_size(exported.new_bytes.bytes)));
  return {};
}

// The raw disk that is converted has a name beside the output only while it is written.
Result<File> export_raw(const chunker::Manifest& manifest, chunker::ChunkSource& chunks, const std::string& output,
                        const chunker::ExportOptions& options) {
  const std::string path = fmt::format("{}.{:016x}.raw", output, system_random().number());
  STAMPEDE_CHECK(chunker::export_image(manifest, chunks, path, options));
  auto raw = File::open(path, O_RDONLY);
  ::unlink(path.c_str());
  return raw;
}

Result<> check_output(const Arguments& arguments, bool index) {
  if (!index && !arguments.casync_store.empty())
    return fail(Code::usage, "--casync-store is for an index: --output has to end in .caibx");
  if (index && !arguments.format.empty())
    return fail(Code::usage, "--format is for a disk, and --output ends in .caibx, which is an index");
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(arguments.output, ignored)))
    return fail(Code::usage, "{} exists; name a new file", arguments.output);
  return {};
}

Result<> export_to(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageRef::parse(arguments.name));
  const bool index = arguments.output.ends_with(".caibx");
  STAMPEDE_CHECK(check_output(arguments, index));
  auto kind = formats::Kind::raw;
  if (!index) {
    STAMPEDE_TRY(kind, formats::output_kind(arguments.format, arguments.output));
  }
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto image, service::hold_image(*store, name));
  ProgressLine line(true);
  chunker::ExportOptions options;
  options.progress = [&](Offset done, Size total) { line.show("exporting", done.bytes, total.bytes); };
  options.interrupted = [] { return stop_requested().load(); };
  if (index) return export_index(arguments, *store, image.record.image, options, line);
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store->chunks(), image.record.image));
  if (kind == formats::Kind::raw) return chunker::export_image(manifest, store->chunks(), arguments.output, options);
  STAMPEDE_TRY(const File raw, export_raw(manifest, store->chunks(), arguments.output, options));
  line.show("converting");
  return formats::convert(raw, kind, arguments.output, options.interrupted);
}

}  // namespace

void add_image_export(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* export_command =
      image.add_subcommand("export", "Writes an image from this machine's store into a new file, byte-exact and sparse");
  add_image_argument(*export_command, arguments->name);
  export_command->add_option("--output", arguments->output, "The file to make; refused if it exists. x.caibx: for casync")
      ->required();
  export_command->add_option("--format", arguments->format,
                             "raw, qcow2, vmdk, vhdx or vdi, where the output's name does not tell");
  export_command
      ->add_option("--casync-store", arguments->casync_store,
                   "Where an index (--output x.caibx) has its chunks; default.castr beside it unless given")
      ->type_name("DIR");
  export_command->footer(
      "Example: stampede image export debian:12 --output debian.img\n"
      "         stampede image export debian:12 --output debian.qcow2\n"
      "         stampede image export debian:12 --output debian.caibx, and casync extract debian.caibx debian.img");
  add_store_option(*export_command, arguments->store);
  export_command->callback([arguments, &action] { action = [arguments] { return export_to(*arguments); }; });
}

}  // namespace stampede::tools
