#include "tools/stampede/preview.h"

#include <boost/json.hpp>

#include "src/base/text.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

json::value to_json(const deploy::Preview& preview) {
  const auto& disk = preview.disk;
  json::array lost;
  for (const auto& found : preview.lost)
    lost.push_back(json::object{{"partition", found.partition},
                                {"offset", found.offset.bytes},
                                {"size", found.length.bytes},
                                {"type", found.type},
                                {"label", found.label},
                                {"uuid", found.uuid}});
  return json::object{{"name", preview.name},
                      {"image", preview.image},
                      {"disk", json::object{{"selector", disk.selector},
                                            {"path", disk.path},
                                            {"model", disk.model},
                                            {"serial", disk.serial},
                                            {"wwn", disk.wwn},
                                            {"guid", disk.guid},
                                            {"size", disk.size},
                                            {"sector_size", disk.sector_size},
                                            {"of", preview.disks},
                                            {"made", preview.made}}},
                      {"content", preview.content},
                      {"deployed", preview.deployed},
                      {"resumes", preview.resumes},
                      {"by_receipt", preview.by_receipt},
                      {"lost", std::move(lost)},
                      {"wiped", json::value_from(preview.wiped)},
                      {"bytes", json::object{{"data", preview.data},
                                             {"kept", preview.kept},
                                             {"moved", preview.moved},
                                             {"fetched", preview.fetched},
                                             {"repeated", preview.repeated},
                                             {"zeroed", preview.zeroed},
                                             {"unspecified", preview.unspecified}}}};
}

// What a disk and its file systems call themselves goes to a terminal as text alone.
void line(std::string_view text) { print(printable(text)); }

void print_disk(const deploy::Preview& preview) {
  const auto& disk = preview.disk;
  if (preview.made) return line(fmt::format("  to {}: a file that is made", disk.path));
  std::string names;
  for (const auto& [what, value] : {std::pair{"serial", disk.serial}, {"wwn", disk.wwn}, {"model", disk.model}})
    if (!value.empty()) names += fmt::format(", {} {}", what, value);
  line(fmt::format("  to {}: {}, {} bytes a sector{}", disk.path, human_size(disk.size), disk.sector_size, names));
  if (!disk.selector.starts_with("file:"))
    line(fmt::format("  because of {} disk{} {} matches this one alone", preview.disks, preview.disks == 1 ? "" : "s",
                     disk.selector));
  line(fmt::format("  it holds: {}", preview.content));
  if (!disk.guid.empty()) line(fmt::format("  its GUID: {}", disk.guid));
  if (!preview.deployed.empty()) line(fmt::format("  that is {}, which this site deployed", preview.deployed));
  if (preview.resumes) line("  which this deployment would go on with");
  for (const auto& found : preview.lost)
    line(fmt::format("  lost: {}{}{}, {}", found.partition == 0 ? "" : fmt::format("partition {}: ", found.partition),
                     found.type, found.label.empty() ? "" : " '" + found.label + "'", human_size(found.length.bytes)));
  for (const auto& mark : preview.wiped) line("  wiped: " + mark);
}

}  // namespace

namespace {
Result<> show_preview(const deploy::Options& options, bool as_json) {
  STAMPEDE_TRY(const auto preview, deploy::preview(options));
  if (as_json) {
    print_json(to_json(preview));
    return {};
  }
  line(fmt::format("{} ({:.12}) would be written", preview.name, preview.image));
  print_disk(preview);
  line(fmt::format("  data {}: {} kept, {} moved, {} fetched at most, {} written again elsewhere", human_size(preview.data),
                   human_size(preview.kept), human_size(preview.moved), human_size(preview.fetched),
                   human_size(preview.repeated)));
  if (preview.by_receipt) line("  what is moved is where the disk's receipt says, or is fetched as well");
  line(fmt::format("  {} zeroed, {} left as they are", human_size(preview.zeroed), human_size(preview.unspecified)));
  line("nothing has been written");
  return {};
}
}  // namespace

Result<> show_previews(const std::vector<deploy::Options>& all, bool as_json) {
  if (all.size() > 1) STAMPEDE_CHECK(deploy::check_distinct(all));
  for (deploy::Options options : all) {
    if (all.size() > 1) options.group.emplace();
    STAMPEDE_CHECK(show_preview(options, as_json));
  }
  return {};
}

}  // namespace stampede::tools
