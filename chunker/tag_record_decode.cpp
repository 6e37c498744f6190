#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "chunker/manifest.h"
#include "chunker/tag_record.h"

namespace stampede::chunker {
namespace {

namespace json = boost::json;

template <class... Args>
std::unexpected<Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::content_altered, "tag record: {}", fmt::format(format, std::forward<Args>(args)...));
}

// Reads members of one object. The first that is missing or of another kind is remembered; reading on gives empty values.
class Members {
 public:
  Members(const json::value& value, std::string_view name) : object_(value.if_object()) {
    if (object_ == nullptr) wrong_ = name;
  }

  const json::value* find(std::string_view name) {
    known_.insert(name);
    const json::value* const value = object_ != nullptr ? object_->if_contains(name) : nullptr;
    if (value == nullptr) wrong(name);
    return value;
  }
  std::string text(std::string_view name) {
    const json::value* const value = find(name);
    const json::string* const text = value != nullptr ? value->if_string() : nullptr;
    if (text == nullptr) wrong(name);
    return text != nullptr ? std::string(*text) : std::string();
  }
  std::uint64_t number(std::string_view name, std::uint64_t most = UINT64_MAX) {
    const json::value* const value = find(name);
    std::uint64_t number = 0;
    if (value != nullptr && value->is_int64() && value->get_int64() >= 0)
      number = static_cast<std::uint64_t>(value->get_int64());
    else if (value != nullptr && value->is_uint64())
      number = value->get_uint64();
    else
      wrong(name);
    if (number > most) wrong(name);
    return number;
  }
  bool flag(std::string_view name) {
    const json::value* const value = find(name);
    const bool* const flag = value != nullptr ? value->if_bool() : nullptr;
    if (flag == nullptr) wrong(name);
    return flag != nullptr && *flag;
  }
  bool is_null(std::string_view name) {
    const json::value* const value = find(name);
    return value != nullptr && value->is_null();
  }
  // Is it there, and not null?
  bool has(std::string_view name) {
    known_.insert(name);
    const json::value* const value = object_ != nullptr ? object_->if_contains(name) : nullptr;
    return value != nullptr && !value->is_null();
  }
  std::vector<std::string> texts(std::string_view name) {
    std::vector<std::string> out;
    for (const json::value& value : array(name)) {
      if (!value.is_string()) wrong(name);
      out.emplace_back(value.is_string() ? std::string(value.get_string()) : std::string());
    }
    return out;
  }
  const json::array& array(std::string_view name) {
    static const json::array none;
    const json::value* const value = find(name);
    const json::array* const array = value != nullptr ? value->if_array() : nullptr;
    if (array == nullptr) wrong(name);
    return array != nullptr ? *array : none;
  }

  // Members that were not asked for, as an object; empty where there are none.
  std::string others() const {
    json::object out;
    for (const auto& [key, value] : object_ != nullptr ? *object_ : json::object())
      if (!known_.contains(key)) out.emplace(key, value);
    return out.empty() ? std::string() : json::serialize(out);
  }

  void wrong(std::string_view name) {
    if (wrong_.empty()) wrong_ = name;
  }
  Result<> check() const {
    if (!wrong_.empty()) return bad("member '{}' is missing or not as it should be", wrong_);
    return {};
  }

 private:
  const json::object* object_;
  std::set<std::string_view> known_;
  std::string wrong_;
};

ImageId image(Members& in, std::string_view name) {
  const auto bytes = from_hex(in.text(name));
  ImageId id;
  if (bytes && bytes->size() == id.digest.size())
    std::ranges::copy(*bytes, id.digest.begin());
  else
    in.wrong(name);
  return id;
}

Result<volume::PartitionFacts> partition(const json::value& value) {
  Members in(value, "partitions");
  volume::PartitionFacts facts;
  facts.number = static_cast<unsigned>(in.number("number", UINT32_MAX));
  facts.offset = {in.number("offset")};
  facts.length = {in.number("length")};
  facts.type = in.text("type");
  facts.guid = in.text("guid");
  facts.name = in.text("name");
  facts.flags = in.number("flags");
  facts.filesystem = in.text("filesystem");
  facts.label = in.text("label");
  facts.uuid = in.text("uuid");
  STAMPEDE_CHECK(in.check());
  return facts;
}

Result<volume::RootFacts> root(const json::value& value) {
  Members in(value, "root");
  volume::RootFacts facts;
  facts.partition = static_cast<unsigned>(in.number("partition", UINT32_MAX));
  facts.filesystem = in.text("filesystem");
  facts.offset = {in.number("offset")};
  facts.length = {in.number("length")};
  facts.label = in.text("label");
  facts.uuid = in.text("uuid");
  facts.clean = in.flag("clean");
  STAMPEDE_CHECK(in.check());
  return facts;
}

std::map<std::string, std::string> text_map(Members& in, std::string_view name) {
  std::map<std::string, std::string> out;
  const json::value* const value = in.find(name);
  if (value == nullptr || !value->is_object()) {
    in.wrong(name);
    return out;
  }
  for (const auto& [key, text] : value->get_object()) {
    if (!text.is_string()) in.wrong(name);
    out[std::string(key)] = text.is_string() ? std::string(text.get_string()) : std::string();
  }
  return out;
}

Result<std::vector<volume::Finding>> lint(Members& in) {
  std::vector<volume::Finding> out;
  for (const json::value& value : in.array("lint")) {
    Members one(value, "lint");
    out.push_back({one.text("code"), one.text("path")});
    STAMPEDE_CHECK(one.check());
  }
  return out;
}

Result<volume::ImageFacts> facts(Members& in) {
  volume::ImageFacts facts;
  facts.table = in.text("table");
  facts.disk_guid = in.text("disk_guid");
  facts.sector_size = static_cast<std::uint32_t>(in.number("sector_size", 4096));
  if (in.array("partitions").size() > kMaxPartitions) in.wrong("partitions");
  for (const json::value& value : in.array("partitions")) {
    STAMPEDE_TRY(facts.partitions.emplace_back(), partition(value));
  }
  if (!in.is_null("root")) {
    const json::value* const value = in.find("root");
    STAMPEDE_TRY(facts.root, root(value != nullptr ? *value : json::value()));
  }
  if (!in.is_null("architecture")) facts.architecture = in.text("architecture");
  facts.firmware = in.texts("firmware");
  if (!in.is_null("cloud_init")) facts.cloud_init = in.flag("cloud_init");
  facts.os_release = text_map(in, "os_release");
  if (in.has("fixed_ids")) facts.fixed_ids = in.texts("fixed_ids");  // older records have none
  if (in.has("fixed_ids_by")) facts.fixed_ids_by = static_cast<std::uint32_t>(in.number("fixed_ids_by", UINT32_MAX));
  if (in.has("lint")) {
    STAMPEDE_TRY(facts.lint, lint(in));
  }
  if (in.has("kernels")) facts.kernels = in.texts("kernels");
  return facts;
}

// What an operator says of it; of records of version 0.1 only the roles.
void words(Members& in, TagRecord& record) {
  record.roles = in.texts("roles");
  if (record.roles.size() > kMaxRoles || !std::ranges::all_of(record.roles, is_name_part)) in.wrong("roles");
  if (in.has("labels")) record.labels = text_map(in, "labels");
  const auto sound = [](const auto& label) { return is_label(label.first, label.second); };
  if (record.labels.size() > kMaxLabels || !std::ranges::all_of(record.labels, sound)) in.wrong("labels");
  record.tagged = in.has("tagged") ? in.text("tagged") : record.created;
}

}  // namespace

Result<TagRecord> decode_tag_record(ByteView bytes) {
  if (bytes.size() > kMaxTagRecord.bytes) return bad("{} bytes long", bytes.size());
  boost::system::error_code error;
  const json::value value = json::parse(as_text(bytes), error);
  if (error) return bad("not JSON: {}", error.message());
  Members in(value, "record");
  if (const auto version = in.number("version"); in.check() && version != 1)
    return bad("version {} is unknown here; a newer stampede may read it", version);
  TagRecord record;
  const auto name = ImageName::parse(in.text("name") + ":" + in.text("tag"));
  if (!name) return bad("{}", name.error().message);
  record.name = *name;
  record.image = image(in, "image");
  if (!in.is_null("parent")) record.parent = image(in, "parent");
  record.created = in.text("created");
  record.source = in.text("source");
  record.disk_size = {in.number("disk_size")};
  record.data_size = {in.number("data_size", record.disk_size.bytes)};
  STAMPEDE_TRY(record.facts, facts(in));
  words(in, record);
  record.others = in.others();
  STAMPEDE_CHECK(in.check());
  return record;
}

}  // namespace stampede::chunker
