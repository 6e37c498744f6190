#include "src/service/library.h"
#include "src/service/naming.h"
#include "tools/stampede/image.h"

namespace stampede::tools {

void add_word_options(CLI::App& command, WordArguments& words) {
  command.add_flag("--move", words.move, "The name may be another image now; `image history` keeps what it was");
  command.add_option("--parent", words.parent, "The image in this store that this one comes from")->type_name("NAME:TAG");
  command.add_option("--role", words.roles, "What it is for, such as web; may be given several times")
      ->type_name("ROLE")
      ->allow_extra_args(false);
  command.add_option("--label", words.labels, "Anything else; KEY= takes one away; may be given several times")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

Result<service::Words> read_words(cache::Store& store, const WordArguments& arguments) {
  service::Words words;
  words.move = arguments.move;
  words.roles = arguments.roles;
  for (const auto& label : arguments.labels) STAMPEDE_CHECK(service::add_label(label, words));
  if (!arguments.parent.empty()) {
    STAMPEDE_TRY(const auto parent, chunker::ImageRef::parse(arguments.parent));
    auto found = service::find_image(store, parent);
    if (!found) return pass(std::move(found).error(), "--parent");
    words.parent = found->record.image;
  }
  return words;
}

}  // namespace stampede::tools
