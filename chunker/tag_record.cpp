#include "chunker/tag_record.h"

#include <algorithm>
#include <boost/json.hpp>

#include "src/base/text.h"

namespace stampede::chunker {
namespace {

namespace json = boost::json;

// The length of the UTF-8 character at the head of `text`; 0 where there is none (RFC 3629, so no surrogates).
std::size_t character(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned head = at(0);
  if (head < 0x80) return 1;
  const std::size_t length = head < 0xc2 ? 0 : head < 0xe0 ? 2 : head < 0xf0 ? 3 : head < 0xf5 ? 4 : 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (head == 0xe0 && at(1) < 0xa0) || (head == 0xf0 && at(1) < 0x90);
  const bool beyond = (head == 0xed && at(1) >= 0xa0) || (head == 0xf4 && at(1) >= 0x90);
  return overlong || beyond ? 0 : length;
}

// Labels and os-release come from disks and may hold anything; JSON is UTF-8.
json::string utf8(std::string_view text) {
  json::string out;
  while (!text.empty()) {
    const std::size_t length = character(text);
    out += length > 0 ? text.substr(0, length) : std::string_view("\xef\xbf\xbd");
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

json::value or_null(const std::optional<std::string>& text) {
  return text ? json::value(utf8(*text)) : json::value(nullptr);
}

json::array list(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(utf8(text));
  return out;
}

json::object object(const volume::PartitionFacts& p) {
  return {
      {"number", p.number},     {"offset", p.offset.bytes}, {"length", p.length.bytes}, {"type", utf8(p.type)},
      {"guid", utf8(p.guid)},   {"name", utf8(p.name)},     {"flags", p.flags},         {"filesystem", utf8(p.filesystem)},
      {"label", utf8(p.label)}, {"uuid", utf8(p.uuid)}};
}

json::value lint_array(const std::optional<std::vector<volume::Finding>>& lint) {
  if (!lint) return nullptr;
  json::array out;
  for (const volume::Finding& one : *lint) out.push_back(json::object{{"code", one.code}, {"path", utf8(one.path)}});
  return out;
}

json::value root_object(const std::optional<volume::RootFacts>& root) {
  if (!root) return nullptr;
  return json::object{{"partition", root->partition}, {"filesystem", utf8(root->filesystem)}, {"offset", root->offset.bytes},
                      {"length", root->length.bytes}, {"label", utf8(root->label)},           {"uuid", utf8(root->uuid)},
                      {"clean", root->clean}};
}

// What a newer version has written.
void add_others(std::string_view others, json::object& out) {
  if (others.empty()) return;
  boost::system::error_code error;
  const json::value value = json::parse(others, error);
  if (error || !value.is_object()) return;
  for (const auto& [key, member] : value.get_object()) out.emplace(key, member);
}

}  // namespace

bool is_label(std::string_view key, std::string_view value) {
  const auto plain = [](char c) { return is_name_part(std::string_view(&c, 1)) || (c >= 'A' && c <= 'Z'); };
  return !key.empty() && key.size() <= kMaxLabelKey && plain(key[0]) &&
         std::ranges::all_of(key, [&](char c) { return plain(c) || std::string_view("._/-").contains(c); }) &&
         value.size() <= kMaxLabelValue && printable(value) == value;
}

// Members stand in the order in which they are put here, so one record has one encoding.
Bytes encode(const TagRecord& record) {
  const volume::ImageFacts& facts = record.facts;
  json::array partitions;
  for (const auto& partition : facts.partitions) partitions.push_back(object(partition));
  json::object os_release;
  for (const auto& [key, value] : facts.os_release) os_release[json::string_view(utf8(key))] = utf8(value);
  json::object labels;
  for (const auto& [key, value] : record.labels) labels[json::string_view(utf8(key))] = utf8(value);
  json::object out{
      {"version", 1},
      {"name", record.name.name},
      {"tag", record.name.tag},
      {"image", to_string(record.image)},
      {"parent", record.parent ? json::value(to_string(*record.parent)) : json::value(nullptr)},
      {"created", utf8(record.created)},
      {"source", utf8(record.source)},
      {"disk_size", record.disk_size.bytes},
      {"data_size", record.data_size.bytes},
      {"sector_size", facts.sector_size},
      {"table", utf8(facts.table)},
      {"disk_guid", utf8(facts.disk_guid)},
      {"partitions", std::move(partitions)},
      {"root", root_object(facts.root)},
      {"architecture", or_null(facts.architecture)},
      {"firmware", list(facts.firmware)},
      {"cloud_init", facts.cloud_init ? json::value(*facts.cloud_init) : json::value(nullptr)},
      {"os_release", std::move(os_release)},
      {"roles", list(record.roles)},
      {"fixed_ids", facts.fixed_ids ? json::value(list(*facts.fixed_ids)) : json::value(nullptr)},
      {"fixed_ids_by", facts.fixed_ids_by},
      {"lint", lint_array(facts.lint)},
      {"kernels", list(facts.kernels)},
      {"labels", std::move(labels)},
      {"tagged", utf8(record.tagged)},
  };
  add_others(record.others, out);
  return copy(as_bytes(json::serialize(out)));
}

}  // namespace stampede::chunker
