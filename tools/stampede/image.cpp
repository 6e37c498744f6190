#include "tools/stampede/image.h"

#include <boost/json.hpp>

#include "src/disk/guard.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

Result<service::ImageSource> hold_disk(const disk::Selector& selector) {
  STAMPEDE_TRY(const auto disks, disk::list_disks());
  STAMPEDE_TRY(auto held, disk::hold_for_reading(selector, disks));
  return service::ImageSource(held.identity.path, disk::naming(held.identity, disks), false, std::move(held.file));
}

boost::json::object to_json(const chunker::TagRecord& record) {
  // The signed record is JSON already: its own members are the stable ones.
  const Bytes bytes = chunker::encode(record);
  return boost::json::parse(boost::json::string_view(as_text(bytes))).as_object();
}

void add_image(CLI::App& app, Action& action) {
  auto* image = app.add_subcommand("image", "Packages, names, lists and unpacks images in this machine's store");
  image->require_subcommand(1);
  image->footer("Example: stampede image import debian.img debian:12");
  add_image_import(*image, action);
  add_image_list(*image, action);
  add_image_show(*image, action);
  add_image_export(*image, action);
  add_image_diff(*image, action);
  add_image_lint(*image, action);
  add_image_pull(*image, action);
  add_image_push(*image, action);
  add_image_tag(*image, action);
  add_image_history(*image, action);
  add_image_rm(*image, action);
}

}  // namespace stampede::tools
