#include "src/firstboot/instance.h"

#include <algorithm>

#include "src/firstboot/network.h"
#include "src/firstboot/yaml.h"

namespace stampede::firstboot {

namespace {

constexpr std::size_t kMostHostname = 253, kMostLabel = 63, kMostRole = 64;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMostLabel && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

// What is not printable must not reach a terminal through a message.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 80));
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return out;
}

Result<std::string> word(const Yaml& value, std::string_view name) {
  if (value.kind != Yaml::Kind::scalar) return fail_at(value, fmt::format("'{}' must be a word or text", name));
  return value.text;
}

// A list of words, each checked.
template <class Check>
Result<> each(const Yaml& value, std::string_view name, Check check) {
  if (value.kind != Yaml::Kind::list) return fail_at(value, fmt::format("'{}' must be a list", name));
  for (const Yaml& item : value.values) {
    STAMPEDE_TRY(const std::string text, word(item, name));
    if (auto done = check(text); !done) return fail_at(item, done.error().message);
  }
  return {};
}

Result<> take_hostname(Instance& out, const Yaml& value) {
  STAMPEDE_TRY(const std::string text, word(value, "hostname"));
  auto name = check_hostname(text);
  if (!name) return fail_at(value, name.error().message);
  out.hostname = std::move(*name);
  return {};
}

Result<> take_roles(Instance& out, const Yaml& value) {
  return each(value, "roles", [&](const std::string& text) -> Result<> {
    STAMPEDE_TRY(out.roles.emplace_back(), check_role(text));
    return {};
  });
}

Result<> take_keys(Instance& out, const Yaml& value) {
  return each(value, "ssh_keys", [&](const std::string& text) -> Result<> {
    STAMPEDE_TRY(const auto keys, parse_ssh_keys(text));
    out.ssh_keys.insert(out.ssh_keys.end(), keys.begin(), keys.end());
    return {};
  });
}

Result<> take_member(Instance& out, const Yaml& key, const Yaml& value) {
  if (value.kind == Yaml::Kind::null) return {};
  if (key.text == "hostname") return take_hostname(out, value);
  if (key.text == "roles") return take_roles(out, value);
  if (key.text == "ssh_keys") return take_keys(out, value);
  if (key.text == "network") {
    STAMPEDE_TRY(out.network, network_from(value));
    return {};
  }
  if (key.text == "user_data") {
    STAMPEDE_TRY(const std::string text, word(value, "user_data"));
    auto checked = check_user_data(text);
    if (!checked) return fail_at(value, checked.error().message);
    out.user_data = std::move(*checked);
    return {};
  }
  return fail_at(
      key, fmt::format("unknown member '{}'; known are hostname, roles, network, ssh_keys and user_data", shown(key.text)));
}

Result<Instance> instance_from(const Yaml& value) {
  Instance out;
  if (value.kind == Yaml::Kind::null) return out;
  if (value.kind != Yaml::Kind::map) return fail_at(value, "an instance is a map with hostname, roles, …");
  for (std::size_t i = 0; i < value.keys.size(); ++i) STAMPEDE_CHECK(take_member(out, value.keys[i], value.values[i]));
  return out;
}

void append_new(std::vector<std::string>& list, std::vector<std::string> more) {
  for (std::string& item : more)
    if (std::ranges::find(list, item) == list.end()) list.push_back(std::move(item));
}

}  // namespace

Result<std::string> check_hostname(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto bad = [&](std::string_view why) { return fail(Code::usage, "'{}' is no hostname: {}", shown(text), why); };
  if (out.empty() || out.size() > kMostHostname) return bad("it must have 1 to 253 characters");
  std::string_view rest = out, label;
  std::size_t labels = 0;
  for (bool more = true; more; ++labels) {
    const std::size_t dot = rest.find('.');
    label = rest.substr(0, dot);
    if (!is_label(label)) return bad("each part must have 1 to 63 letters, digits and inner hyphens");
    more = dot != rest.npos;
    if (more) rest.remove_prefix(dot + 1);
  }
  if (labels > 1 && std::ranges::all_of(label, is_digit)) return bad("its last part is a number, as in an address");
  return out;
}

Result<std::string> check_role(std::string_view text) {
  const auto inner = [](char c) { return is_lower(c) || is_digit(c) || c == '.' || c == '_' || c == '-'; };
  if (text.empty() || text.size() > kMostRole || !(is_lower(text.front()) || is_digit(text.front())) ||
      !std::ranges::all_of(text, inner))
    return fail(Code::usage,
                "'{}' is no role: it must have 1 to {} of a-z, 0-9, '.', '_', '-' and begin with a letter or digit",
                shown(text), kMostRole);
  return std::string(text);
}

Result<std::string> check_user_data(std::string_view text) {
  for (const std::string_view start : {"#", "Content-Type:", "MIME-Version:", "\x1f\x8b"})
    if (text.starts_with(start)) return std::string(text);
  return fail(Code::usage, "user data must begin with '#cloud-config' or '#!'; cloud-init would ignore it");
}

Result<Instance> parse_instance(std::string_view yaml) {
  auto value = parse_yaml(yaml);
  if (!value) return pass(std::move(value).error(), "the instance file");
  auto out = instance_from(*value);
  if (!out) return pass(std::move(out).error(), "the instance file");
  return out;
}

Instance merge(Instance file, Instance flags) {
  Instance out;
  out.hostname = flags.hostname ? std::move(flags.hostname) : std::move(file.hostname);
  out.network = flags.network ? std::move(flags.network) : std::move(file.network);
  out.user_data = flags.user_data ? std::move(flags.user_data) : std::move(file.user_data);
  append_new(out.roles, std::move(file.roles));
  append_new(out.roles, std::move(flags.roles));
  append_new(out.ssh_keys, std::move(file.ssh_keys));
  append_new(out.ssh_keys, std::move(flags.ssh_keys));
  return out;
}

}  // namespace stampede::firstboot
