#include <boost/json.hpp>

#include "chunker/package.h"
#include "src/service/library.h"
#include "tools/stampede/command.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct ImageArguments {
  std::filesystem::path store;
  std::string file;
  std::string name;
  std::string output;
  bool as_json = false;
};

json::object to_json(const chunker::TagRecord& record) {
  // The signed record is JSON already: its own members are the stable ones.
  const Bytes bytes = chunker::encode(record);
  return json::parse(json::string_view(as_text(bytes))).as_object();
}

Result<> import(const ImageArguments& arguments) {
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

Result<> list(const ImageArguments& arguments) {
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto images, service::list_images(*store));
  json::array all;
  if (!arguments.as_json && !images.images.empty())
    print(fmt::format("{:<28} {:<16} {:>10} {:>10}  {:<20}  {}", "NAME", "IMAGE", "DISK", "DATA", "CREATED", "SYSTEM"));
  for (const auto& image : images.images) {
    const auto& record = image.record;
    if (arguments.as_json) {
      all.push_back(to_json(record));
      continue;
    }
    const auto pretty = record.facts.os_release.find("PRETTY_NAME");
    print(fmt::format("{:<28} {:<16} {:>10} {:>10}  {:<20}  {}", record.name.text(),
                      chunker::to_string(record.image).substr(0, 16), human_size(record.disk_size.bytes),
                      human_size(record.data_size.bytes), record.created,
                      pretty == record.facts.os_release.end() ? "" : pretty->second));
  }
  if (arguments.as_json) print_json(all);
  for (const auto& problem : images.problems) note(problem);
  if (!images.problems.empty())
    return fail(Code::store_damaged, "{} of the images in {} cannot be read", images.problems.size(),
                store->folder().string());
  return {};
}

void show_partitions(const volume::ImageFacts& facts) {
  for (const auto& partition : facts.partitions)
    print(fmt::format("  partition {:<2} {:>12} at {:>12}  {:<8} {}", partition.number, human_size(partition.length.bytes),
                      partition.offset.bytes, partition.filesystem,
                      partition.label.empty() ? partition.name : partition.label));
}

Result<> show(const ImageArguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.name));
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto image, service::find_image(*store, name));
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store->chunks(), image.record.image));
  const auto& record = image.record;
  if (arguments.as_json) {
    json::object object = to_json(record);
    object["signer"] = trust::to_string(image.signed_record.signer);
    object["segments"] = manifest.root.segments.size();
    object["spans"] = manifest.root.span_count();
    print_json(object);
    return {};
  }
  const auto& facts = record.facts;
  print(fmt::format("{}  {}", record.name.text(), chunker::to_string(record.image)));
  print(fmt::format("  created {} from {}, signed by {}", record.created, record.source,
                    trust::short_name(image.signed_record.signer)));
  print(fmt::format("  disk {}, data {}, {} table, {} bytes a sector, {} spans", human_size(record.disk_size.bytes),
                    human_size(record.data_size.bytes), facts.table.empty() ? "no" : facts.table, facts.sector_size,
                    manifest.root.span_count()));
  show_partitions(facts);
  if (facts.root)
    print(fmt::format("  root file system: partition {}, {}{}", facts.root->partition, facts.root->filesystem,
                      facts.root->clean ? "" : ", not clean"));
  print(fmt::format("  architecture {}, firmware {}, cloud-init {}", facts.architecture.value_or("unknown"),
                    facts.firmware.empty() ? "unknown" : fmt::format("{}", fmt::join(facts.firmware, " and ")),
                    !facts.cloud_init   ? "unknown"
                    : *facts.cloud_init ? "yes"
                                        : "no"));
  if (const auto pretty = facts.os_release.find("PRETTY_NAME"); pretty != facts.os_release.end())
    print("  system " + pretty->second);
  STAMPEDE_TRY(const auto history, store->catalog().tag_history(name));
  for (std::size_t i = 0; i + 1 < history.size(); ++i)
    print(fmt::format("  signed before by {}", trust::short_name(history[i].signer)));
  return {};
}

Result<> export_to(const ImageArguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.name));
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto image, service::find_image(*store, name));
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store->chunks(), image.record.image));
  ProgressLine line(true);
  chunker::ExportOptions options;
  options.progress = [&](Offset done, Size total) { line.show("exporting", done.bytes, total.bytes); };
  options.interrupted = [] { return stop_requested().load(); };
  return chunker::export_image(manifest, store->chunks(), arguments.output, options);
}

}  // namespace

void add_image(CLI::App& app, Action& action) {
  auto* image = app.add_subcommand("image", "Packages, lists and unpacks images in this machine's store");
  image->require_subcommand(1);
  image->footer("Example: stampede image import debian.img debian:12");
  auto arguments = std::make_shared<ImageArguments>();

  auto* import_command =
      image->add_subcommand("import", "Packages a raw disk image into this machine's store; the file is only read");
  import_command->add_option("FILE", arguments->file, "Raw disk image; holes are read as zeros")->required();
  import_command->add_option("NAME:TAG", arguments->name, "What to call it, such as debian:12")->required();
  import_command->add_flag("--json", arguments->as_json, "The summary as JSON on stdout");
  import_command->footer("Example: stampede image import debian.img debian:12");
  add_store_option(*import_command, arguments->store);
  import_command->callback([arguments, &action] { action = [arguments] { return import(*arguments); }; });

  auto* list_command = image->add_subcommand("list", "Lists the images in this machine's store");
  list_command->add_flag("--json", arguments->as_json, "As a JSON array on stdout");
  list_command->footer("Example: stampede image list --json | jq -r '.[].name'");
  add_store_option(*list_command, arguments->store);
  list_command->callback([arguments, &action] { action = [arguments] { return list(*arguments); }; });

  auto* show_command = image->add_subcommand("show", "Shows what is known of an image in this machine's store");
  show_command->add_option("NAME:TAG", arguments->name, "The image")->required();
  show_command->add_flag("--json", arguments->as_json, "As JSON on stdout");
  show_command->footer("Example: stampede image show debian:12");
  add_store_option(*show_command, arguments->store);
  show_command->callback([arguments, &action] { action = [arguments] { return show(*arguments); }; });

  auto* export_command =
      image->add_subcommand("export", "Writes an image from this machine's store into a new file, byte-exact and sparse");
  export_command->add_option("NAME:TAG", arguments->name, "The image")->required();
  export_command->add_option("--output", arguments->output, "The file to make; refused if it exists")->required();
  export_command->footer("Example: stampede image export debian:12 --output debian.img");
  add_store_option(*export_command, arguments->store);
  export_command->callback([arguments, &action] { action = [arguments] { return export_to(*arguments); }; });
}

}  // namespace stampede::tools
