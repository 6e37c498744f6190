#include <boost/json.hpp>

#include "chunker/image_blocks.h"
#include "chunker/package.h"
#include "src/base/text.h"
#include "src/service/library.h"
#include "src/volume/lint.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string image;
  bool is_file = false;
  bool as_json = false;
};

Result<volume::Lint> lint_file(const std::string& file) {
  STAMPEDE_TRY(const auto facts, volume::inspect(file, false));
  STAMPEDE_TRY(const auto blocks, volume::open_blocks(file, false));
  return volume::lint(*blocks, facts);
}

// By what the tag record knows of it: only the files that are looked at are read.
Result<volume::Lint> lint_image(const Arguments& arguments) {
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(arguments.image));
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto image, service::find_image(*store, name));
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store->chunks(), image.record.image));
  chunker::ImageBlocks blocks(manifest, store->chunks());
  return volume::lint(blocks, image.record.facts);
}

// A path has a slash in it, which no image name has; else what is there decides.
bool names_a_file(const Arguments& arguments) {
  std::error_code ignored;
  return arguments.is_file || arguments.image.find('/') != std::string::npos ||
         std::filesystem::exists(arguments.image, ignored);
}

std::string line_of(const volume::Finding& one) {
  const auto& code = volume::lint_code(one.code);
  return fmt::format("{:<18} {}{}{}; {}; {}", one.code, printable(one.path), one.path.empty() ? "" : ": ", code.what,
                     code.why, code.cure);
}

json::array to_json(const std::vector<volume::Finding>& findings) {
  json::array out;
  for (const auto& one : findings) {
    const auto& code = volume::lint_code(one.code);
    out.push_back(json::object{
        {"code", one.code}, {"path", printable(one.path)}, {"what", code.what}, {"why", code.why}, {"cure", code.cure}});
  }
  return out;
}

Result<> run(const Arguments& arguments) {
  const auto lint = names_a_file(arguments) ? lint_file(arguments.image) : lint_image(arguments);
  if (!lint) return pass(lint.error(), fmt::format("looking through {}", arguments.image));
  if (arguments.as_json) {
    print_json(tools::to_json(*lint));
  } else {
    for (const auto& one : lint->findings) print(line_of(one));
    for (const auto& one : lint->notes) note("note: " + line_of(one));
  }
  const std::size_t count = lint->findings.size();
  if (count > 0)
    return fail(Code::shared_identity,
                "{} holds {} thing{} that its copies must not share; `image import --generalise` leaves them out",
                arguments.image, count, count == 1 ? "" : "s");
  if (!arguments.as_json) note(fmt::format("{}: nothing that its copies must not share", arguments.image));
  return {};
}

}  // namespace

void note_lint(const Result<volume::Lint>& lint, std::size_t most) {
  if (!lint) return note(fmt::format("lint: not looked for what copies must not share: {}", lint.error().message));
  const auto show = [&](const std::vector<volume::Finding>& findings, std::string_view kind) {
    for (std::size_t i = 0; i < std::min(most, findings.size()); ++i)
      note(fmt::format("{}: {}", kind, line_of(findings[i])));
    if (findings.size() > most)
      note(fmt::format("{}: and {} more; `stampede image lint` shows all", kind, findings.size() - most));
  };
  show(lint->findings, "lint");
  show(lint->notes, "lint (a note)");
}

json::object to_json(const volume::Lint& lint) {
  return {{"findings", to_json(lint.findings)}, {"notes", to_json(lint.notes)}};
}

void add_image_lint(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = image.add_subcommand(
      "lint",
      "Says what an image holds that its copies must not share: machine-id, SSH host keys, leases, seeds, …; reads only");
  command->add_option("IMAGE", arguments->image, "NAME:TAG in this machine's store, or a raw disk image's file")->required();
  command->add_flag("--file", arguments->is_file, "It is a file, whatever it is called");
  command->add_flag("--json", arguments->as_json, "As JSON on stdout");
  std::string codes;
  for (const auto& code : volume::lint_codes())
    codes += fmt::format("  {:<18} {}{}\n", code.code, code.what, code.note ? " (a note: does not count)" : "");
  command->footer("Exit code 0: nothing is found; 4: something is. Codes:\n" + codes +
                  "Example: stampede image lint debian:12");
  add_store_option(*command, arguments->store);
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace stampede::tools
