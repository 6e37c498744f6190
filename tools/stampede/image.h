// `stampede image`: each of its subcommands has a file of its own, image_<subcommand>.cpp.
#pragma once

#include <boost/json/fwd.hpp>

#include "chunker/tag_record.h"
#include "src/disk/selector.h"
#include "src/service/naming.h"
#include "src/service/packaging.h"
#include "src/volume/lint.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

void add_image_import(CLI::App& image, Action& action);
void add_image_list(CLI::App& image, Action& action);
void add_image_show(CLI::App& image, Action& action);
void add_image_export(CLI::App& image, Action& action);
void add_image_diff(CLI::App& image, Action& action);
void add_image_lint(CLI::App& image, Action& action);
void add_image_pull(CLI::App& image, Action& action);
void add_image_push(CLI::App& image, Action& action);
void add_image_tag(CLI::App& image, Action& action);
void add_image_history(CLI::App& image, Action& action);
void add_image_rm(CLI::App& image, Action& action);

// What may be said of an image beside its name: --move, --parent, --role, --label.
struct WordArguments {
  bool move = false;
  std::string parent;
  std::vector<std::string> roles, labels;
};
void add_word_options(CLI::App& command, WordArguments& words);
// Errors: usage; those of find_image() for the parent.
Result<service::Words> read_words(cache::Store& store, const WordArguments& arguments);

// A disk of this machine that nobody else uses, held as long as the source lives. Errors: those of disk::hold_for_reading().
Result<service::ImageSource> hold_disk(const disk::Selector& selector);

// What --json tells of an image.
boost::json::object to_json(const chunker::TagRecord& record);

// What lint has found: a line each on stderr, `most` at most of findings and of notes each.
void note_lint(const Result<volume::Lint>& lint, std::size_t most);
boost::json::object to_json(const volume::Lint& lint);

}  // namespace stampede::tools
