#include "src/deploy/receipt.h"

#include <algorithm>
#include <boost/json.hpp>
#include <ranges>
#include <stdexcept>

#include "chunker/digest.h"
#include "src/base/text.h"

namespace stampede::deploy {

namespace json = boost::json;

DiskFacts facts_of(const disk::Disk& disk, const disk::Selector& selector) {
  return {selector.text(), disk.path, disk.model, disk.serial, disk.wwn, disk.guid, disk.size.bytes, disk.sector_size};
}

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::success:
      return "success";
    case Verdict::failure:
      return "failure";
    case Verdict::refused:
      return "refused";
    case Verdict::clean:
      return "clean";
    case Verdict::drifted:
      return "drifted";
  }
  return "failure";
}

namespace {

// With these a receipt stays within kMaxReceipt, whatever devices and file systems call themselves.
constexpr std::size_t kMostNames = 100, kMostText = 512, kMostError = 8192;

std::string text(std::string_view raw, std::size_t limit = kMostText) { return printable(raw.substr(0, limit)); }

json::array list(const std::vector<std::string>& names) {
  json::array out;
  for (const std::string& name : names | std::views::take(kMostNames)) out.emplace_back(text(name));
  if (names.size() > kMostNames) out.emplace_back(fmt::format("and {} more", names.size() - kMostNames));
  return out;
}

json::object to_json(const DiskFacts& disk) {
  return {{"selector", text(disk.selector)},
          {"path", text(disk.path)},
          {"model", text(disk.model)},
          {"serial", text(disk.serial)},
          {"wwn", text(disk.wwn)},
          {"guid", text(disk.guid)},
          {"size", disk.size},
          {"sector_size", disk.sector_size}};
}

json::object to_json(const ByteCounts& bytes) {
  return {{"total", bytes.total},     {"depot", bytes.depot},   {"peers", bytes.peers},    {"multicast", bytes.multicast},
          {"local", bytes.local},     {"moved", bytes.moved},   {"read", bytes.read},      {"verified", bytes.verified},
          {"durable", bytes.durable}, {"served", bytes.served}, {"differs", bytes.differs}};
}

json::array to_json(const std::vector<AlteredBlock>& blocks) {
  json::array out;
  for (const AlteredBlock& block : blocks) out.push_back(json::array{block.number, to_hex(block.digest)});
  return out;
}

json::object to_json(const FitFacts& fit) {
  return {{"backup_moved", fit.backup_moved},
          {"grown_partition", fit.grown_partition},
          {"grown_from", fit.grown_from},
          {"grown_to", fit.grown_to},
          {"grown_file_system", text(fit.grown_file_system)},
          {"fresh_uuids", fit.fresh_uuids}};
}

// Reads members leniently (a missing one is its default) but never the wrong type.
class Members {
 public:
  explicit Members(const json::object& object) : object_(object) {}
  void get(std::string_view name, std::string& out) const { read(name, out); }
  template <class T>
    requires std::is_arithmetic_v<T>
  void get(std::string_view name, T& out) const {
    read(name, out);
  }
  void get(std::string_view name, std::vector<std::string>& out) const { read(name, out); }
  const json::object* object(std::string_view name) const {
    const auto* value = object_.if_contains(name);
    return value == nullptr ? nullptr : &value->as_object();
  }
  const json::array* array(std::string_view name) const {
    const auto* value = object_.if_contains(name);
    return value == nullptr ? nullptr : &value->as_array();
  }

 private:
  template <class T>
  void read(std::string_view name, T& out) const {
    if (const auto* value = object_.if_contains(name)) out = json::value_to<T>(*value);
  }
  const json::object& object_;
};

void read_disk(const json::object& object, DiskFacts& disk) {
  const Members members(object);
  members.get("selector", disk.selector);
  members.get("path", disk.path);
  members.get("model", disk.model);
  members.get("serial", disk.serial);
  members.get("wwn", disk.wwn);
  members.get("guid", disk.guid);
  members.get("size", disk.size);
  members.get("sector_size", disk.sector_size);
}

void read_bytes(const json::object& object, ByteCounts& bytes) {
  const Members members(object);
  members.get("total", bytes.total);
  members.get("depot", bytes.depot);
  members.get("peers", bytes.peers);
  members.get("multicast", bytes.multicast);
  members.get("local", bytes.local);
  members.get("moved", bytes.moved);
  members.get("read", bytes.read);
  members.get("differs", bytes.differs);
  members.get("verified", bytes.verified);
  members.get("durable", bytes.durable);
  members.get("served", bytes.served);
}

void read_fit(const json::object& object, FitFacts& fit) {
  const Members members(object);
  members.get("backup_moved", fit.backup_moved);
  members.get("grown_partition", fit.grown_partition);
  members.get("grown_from", fit.grown_from);
  members.get("grown_to", fit.grown_to);
  members.get("grown_file_system", fit.grown_file_system);
  members.get("fresh_uuids", fit.fresh_uuids);
}

Verdict verdict_of(std::string_view name) {
  for (const Verdict verdict : {Verdict::success, Verdict::refused, Verdict::clean, Verdict::drifted})
    if (name_of(verdict) == name) return verdict;
  return Verdict::failure;
}

std::vector<AlteredBlock> read_altered(const json::array& array) {
  if (array.size() > kMostAltered) throw std::length_error("altered");
  std::vector<AlteredBlock> out;
  for (const auto& value : array) {
    const json::array& pair = value.as_array();
    AlteredBlock& block = out.emplace_back();
    block.number = json::value_to<std::uint64_t>(pair.at(0));
    const auto digest = from_hex(json::value_to<std::string>(pair.at(1)));
    // Older receipts have all of it.
    if (!digest || (digest->size() != block.digest.size() && digest->size() != sizeof(chunker::Sha256)))
      throw std::invalid_argument("altered");
    std::ranges::copy(ByteView(*digest).first(block.digest.size()), block.digest.begin());
    if (out.size() > 1 && out[out.size() - 2].number >= block.number) throw std::invalid_argument("altered");
  }
  return out;
}

Receipt read_receipt(const json::object& object) {
  const Members members(object);
  Receipt receipt;
  members.get("deployment", receipt.deployment);
  members.get("group", receipt.group);
  members.get("node", receipt.node);
  members.get("name", receipt.name);
  members.get("image", receipt.image);
  members.get("started", receipt.started);
  if (const auto* disk = members.object("disk")) read_disk(*disk, receipt.disk);
  if (const auto* base = members.object("base")) {
    const Members of(*base);
    BaseFacts& facts = receipt.base.emplace();
    of.get("path", facts.path);
    of.get("shared", facts.shared);
  }
  if (const auto* bytes = members.object("bytes")) read_bytes(*bytes, receipt.bytes);
  if (const auto* fit = members.object("fit")) read_fit(*fit, receipt.fit);
  if (const auto* stages = members.array("stages")) {
    for (const auto& value : *stages) {
      StageSpan& stage = receipt.stages.emplace_back();
      const Members of(value.as_object());
      of.get("name", stage.name);
      of.get("start", stage.start);
      of.get("seconds", stage.seconds);
    }
  }
  members.get("unspecified", receipt.unspecified);
  members.get("read_back", receipt.read_back);
  members.get("changed_files", receipt.changed_files);
  members.get("bad_peers", receipt.bad_peers);
  members.get("left_multicast", receipt.left_multicast);
  members.get("wiped", receipt.wiped);
  members.get("code", receipt.code);
  members.get("error", receipt.error);
  std::string verdict;
  members.get("verdict", verdict);
  receipt.verdict = verdict_of(verdict);
  if (const auto* altered = members.array("altered")) receipt.altered = read_altered(*altered);
  return receipt;
}

}  // namespace

AlteredBlock::Digest digest_of_altered(ByteView block) {
  AlteredBlock::Digest out{};
  std::ranges::copy(ByteView(chunker::sha256(block)).first(out.size()), out.begin());
  return out;
}

Bytes encode(const Receipt& receipt) {
  json::array stages;
  for (const auto& stage : receipt.stages)
    stages.push_back(json::object{{"name", stage.name}, {"start", stage.start}, {"seconds", stage.seconds}});
  json::object object{{"version", 1},
                      {"deployment", receipt.deployment},
                      {"node", receipt.node},
                      {"name", receipt.name},
                      {"image", receipt.image},
                      {"started", receipt.started},
                      {"disk", to_json(receipt.disk)},
                      {"bytes", to_json(receipt.bytes)},
                      {"fit", to_json(receipt.fit)},
                      {"stages", std::move(stages)},
                      {"unspecified", receipt.unspecified},
                      {"read_back", receipt.read_back},
                      {"changed_files", list(receipt.changed_files)},
                      {"bad_peers", list(receipt.bad_peers)},
                      {"left_multicast", receipt.left_multicast},
                      {"wiped", list(receipt.wiped)},
                      {"verdict", name_of(receipt.verdict)},
                      {"code", receipt.code},
                      {"error", text(receipt.error, kMostError)}};
  if (!receipt.group.empty()) object["group"] = receipt.group;
  if (receipt.base) object["base"] = json::object{{"path", text(receipt.base->path)}, {"shared", receipt.base->shared}};
  if (receipt.altered) object["altered"] = to_json(*receipt.altered);
  std::string out = json::serialize(object);
  if (out.size() > kMaxReceipt.bytes && object.erase("altered") > 0) out = json::serialize(object);
  return copy(as_bytes(out));
}

Result<Receipt> decode_receipt(ByteView bytes) {
  if (bytes.size() > kMaxReceipt.bytes)
    return fail(Code::content_altered, "a receipt longer than {}", human_size(kMaxReceipt.bytes));
  json::error_code error;
  json::parse_options options;
  options.max_depth = 8;
  const json::value value = json::parse(json::string_view(as_text(bytes)), error, {}, options);
  if (error || !value.is_object()) return fail(Code::content_altered, "a receipt that is not JSON: {}", error.message());
  try {
    return read_receipt(value.get_object());
  } catch (const std::exception& wrong) {  // a member of the wrong type
    return fail(Code::content_altered, "a receipt with a malformed member: {}", wrong.what());
  }
}

}  // namespace stampede::deploy
