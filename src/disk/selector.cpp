#include "src/disk/selector.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "src/base/bytes.h"
#include "src/base/text.h"
#include "src/disk/sysfs.h"

namespace stampede::disk {

namespace {

using Kind = Condition::Kind;

struct Form {
  Kind kind;
  std::string_view prefix;
  std::string_view start;  // of the value
};
constexpr std::array<Form, 7> kForms{{{Kind::serial, "serial:", ""},
                                      {Kind::wwn, "wwn:", ""},
                                      {Kind::eui, "eui:", ""},
                                      {Kind::by_path, "by-path:", ""},
                                      {Kind::model, "model:", ""},
                                      {Kind::dev, "dev:", "/dev/"},
                                      {Kind::file, "file:", "/"}}};
constexpr std::string_view kNot = "not ";
constexpr std::string_view kRemovable = "removable";
constexpr std::string_view kSize = "size";
constexpr std::string_view kByPath = "/dev/disk/by-path/";
constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(' ');
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(' ') - from + 1);
}

std::string escaped(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// At the commas that are no part of a value, which comes without its backslashes.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') {
      parts.emplace_back();
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    parts.back() += text[i];
  }
  return parts;
}

std::optional<Condition> parse_size(std::string_view text) {
  text = trimmed(text);
  const std::size_t digits = std::min(text.find_first_not_of("<=>"), text.size());
  const std::string_view compare = text.substr(0, digits);
  const std::string_view number = trimmed(text.substr(digits));
  Condition out{Kind::size, false, fmt::format("{}{}", compare, number), {}, {kAny}};
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value, std::chars_format::fixed);
  const std::string_view unit = number.substr(static_cast<std::size_t>(end - number.data()));
  value *= unit_of(unit);
  if (error != std::errc{} || !(value >= 1) || value > 9e18) return std::nullopt;
  const double slack = unit.empty() ? 0 : value / 100;
  const auto low = static_cast<std::uint64_t>(value - slack);
  const auto high = static_cast<std::uint64_t>(value + slack);
  if (compare != "<" && compare != "<=" && compare != "=" && compare != ">=" && compare != ">") return std::nullopt;
  if (compare == ">") out.least = {high + 1};
  if (compare == "=" || compare == ">=") out.least = {low};
  if (compare == "=" || compare == "<=") out.most = {high};
  if (compare == "<") out.most = {low - 1};
  return out;
}

std::optional<Condition> parse_condition(std::string_view text) {
  if (printable(text) != text) return std::nullopt;  // it is shown on terminals and stands in receipts
  if (text.starts_with(kNot)) {
    auto inner = parse_condition(trimmed(text.substr(kNot.size())));
    if (!inner || inner->negated || inner->kind == Kind::file) return std::nullopt;
    inner->negated = true;
    return inner;
  }
  if (text == kRemovable) return Condition{Kind::removable, false, {}, {}, {}};
  if (text.starts_with(kSize)) return parse_size(text.substr(kSize.size()));
  for (const Form& form : kForms) {
    if (!text.starts_with(form.prefix)) continue;
    std::string_view value = text.substr(form.prefix.size());
    if (form.kind == Kind::by_path && value.starts_with(kByPath)) value.remove_prefix(kByPath.size());
    if (value.size() <= form.start.size() || !value.starts_with(form.start)) break;
    if (form.kind == Kind::by_path && (value.contains('/') || value == "." || value == "..")) break;
    return Condition{form.kind, false, std::string(value), {}, {}};
  }
  return std::nullopt;
}

// `pattern` with * for anything; capitals or not.
bool like(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = pattern.npos, tried = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      tried = t;
    } else if (p < pattern.size() && lower(pattern[p]) == lower(text[t])) {
      ++p;
      ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++tried;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == pattern.npos;
}

std::string_view bare_wwn(std::string_view text) {
  for (const std::string_view prefix : {"wwn-", "nvme-", "0x", "naa.", "eui."})
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  return text;
}

bool is_device(const std::string& path, const Disk& disk, const SystemPaths& paths) {
  const std::string name = device_name(path, paths);
  return !name.empty() && name == device_name(disk.path, paths);
}

bool meets(const Condition& condition, const Disk& disk, const SystemPaths& paths) {
  switch (condition.kind) {
    case Kind::serial:
      return condition.value == disk.serial;
    case Kind::wwn:
      return same_wwn(condition.value, disk.wwn);
    case Kind::eui:
      return disk.wwn.starts_with("eui.") && same_wwn(condition.value, disk.wwn);
    case Kind::by_path:
      return is_device(std::string(kByPath) + condition.value, disk, paths);
    case Kind::model:
      return !disk.model.empty() && like(condition.value, disk.model);
    case Kind::dev:
      return is_device(condition.value, disk, paths);
    case Kind::size:
      return disk.size >= condition.least && disk.size <= condition.most;
    case Kind::removable:
      return disk.removable;
    case Kind::file:
      break;
  }
  return false;
}

std::string text_of(const Condition& condition) {
  const std::string_view negation = condition.negated ? kNot : "";
  if (condition.kind == Kind::removable) return fmt::format("{}{}", negation, kRemovable);
  if (condition.kind == Kind::size) return fmt::format("{}{}{}", negation, kSize, condition.value);
  if (condition.kind == Kind::file) return "file:" + condition.value;
  const auto form = std::ranges::find(kForms, condition.kind, &Form::kind);
  return fmt::format("{}{}{}", negation, form->prefix, escaped(condition.value));
}

std::unexpected<Error> malformed(std::string_view text) {
  return fail(Code::usage,
              "'{}' does not name a disk: say serial:NUMBER, wwn:NAME, eui:NUMBER, by-path:NAME, model:TEXT, "
              "dev:/dev/PATH, size<1T (or =, >), removable, 'not' and one of these, several joined by commas; or "
              "file:/ABSOLUTE/PATH alone ('stampede disks' lists them)",
              printable(text));
}

constexpr std::size_t kMostNamed = 8;

std::string names_of(const std::vector<Disk>& disks) {
  std::vector<std::string> names;
  for (const Disk& disk : disks)
    if (names.size() < kMostNamed) names.push_back(naming(disk, disks));
  const std::string more =
      disks.size() > names.size() ? fmt::format(" and {} more, see 'stampede disks'", disks.size() - names.size()) : "";
  return fmt::format("{}{}", fmt::join(names, ", "), more);
}

std::unexpected<Error> no_match(const Selector& selector, const std::vector<Disk>& disks, const SystemPaths& paths) {
  for (const Condition& condition : selector.conditions()) {
    if (condition.negated || (condition.kind != Kind::dev && condition.kind != Kind::by_path)) continue;
    const std::string path = condition.kind == Kind::dev ? condition.value : std::string(kByPath) + condition.value;
    if (const std::string whole = whole_of_partition(path, paths); !whole.empty())
      return fail(Code::no_match, "{} is a partition: name the whole disk, dev:/dev/{}", path, whole);
  }
  if (disks.empty()) return fail(Code::no_match, "no disk matches {}: this machine has none", selector.text());
  return fail(Code::no_match, "no disk matches {}: there is {}", selector.text(), names_of(disks));
}

}  // namespace

Result<Selector> Selector::parse(std::string_view text) {
  const std::string_view whole = trimmed(text);
  const bool is_file = whole.starts_with("file:");
  Selector selector;
  for (const std::string& part : is_file ? std::vector{std::string(whole)} : split(whole)) {
    auto condition = parse_condition(trimmed(part));
    if (!condition || (condition->kind == Kind::file && !is_file)) return malformed(text);
    selector.conditions_.push_back(std::move(*condition));
  }
  return selector;
}

std::string Selector::text() const {
  std::string out;
  for (const Condition& condition : conditions_) out += (out.empty() ? "" : ",") + text_of(condition);
  return out;
}

std::optional<std::string> Selector::file() const {
  if (conditions_.empty() || conditions_.front().kind != Kind::file) return std::nullopt;
  return conditions_.front().value;
}

bool Selector::wants_removable() const {
  return std::ranges::any_of(conditions_, [](const Condition& c) { return c.kind == Kind::removable && !c.negated; });
}

bool Selector::matches(const Disk& disk, const SystemPaths& paths) const {
  return !conditions_.empty() &&
         std::ranges::all_of(conditions_, [&](const Condition& c) { return meets(c, disk, paths) != c.negated; });
}

Result<Disk> select(const Selector& selector, const std::vector<Disk>& disks, const SystemPaths& paths) {
  if (selector.file()) return fail(Code::usage, "{} is a file, and a disk is wanted", selector.text());
  std::vector<Disk> found;
  std::ranges::copy_if(disks, std::back_inserter(found), [&](const Disk& disk) { return selector.matches(disk, paths); });
  if (found.size() == 1) return found.front();
  if (found.empty()) return no_match(selector, disks, paths);
  return fail(Code::several_match, "{} matches {} disks: {}; name one of them", selector.text(), found.size(),
              names_of(found));
}

std::string naming(const Disk& disk, const std::vector<Disk>& disks) {
  const auto is_only = [&](std::string Disk::* field) {
    return !(disk.*field).empty() && std::ranges::count(disks, disk.*field, field) == 1;
  };
  std::string by = "dev:" + escaped(disk.path);
  if (is_only(&Disk::wwn)) by = "wwn:" + escaped(disk.wwn);
  if (is_only(&Disk::serial)) by = "serial:" + escaped(disk.serial);
  return fmt::format("{} ({}, {}{}{})", by, disk.path, disk.model, disk.model.empty() ? "" : ", ",
                     human_size(disk.size.bytes));
}

bool same_wwn(std::string_view a, std::string_view b) {
  return !bare_wwn(a).empty() && std::ranges::equal(bare_wwn(a), bare_wwn(b), {}, lower, lower);
}

}  // namespace stampede::disk
