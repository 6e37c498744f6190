#include <algorithm>

#include "src/firstboot/network.h"

namespace stampede::firstboot {

namespace {

constexpr std::string_view kDevices[] = {"ethernets",        "wifis", "bonds",         "bridges", "vlans",
                                         "tunnels",          "vrfs",  "dummy-devices", "modems",  "nm-devices",
                                         "virtual-ethernets"};

Result<> check_member(const Yaml& key, const Yaml& value) {
  if (key.text == "version") {
    if (value.kind == Yaml::Kind::scalar && value.text == "2") return {};
    return fail_at(value, "the network's version must be 2");
  }
  if (key.text == "renderer")
    return value.kind == Yaml::Kind::scalar ? Result<>{} : fail_at(value, "the network's renderer must be a word");
  if (std::ranges::find(kDevices, key.text) == std::end(kDevices))
    return fail_at(key, fmt::format("netplan version 2 has no '{}' at this place", key.text));
  if (value.kind == Yaml::Kind::map || value.kind == Yaml::Kind::null) return {};
  return fail_at(value, fmt::format("'{}' must be a map of names", key.text));
}

}  // namespace

Result<std::string> network_from(const Yaml& value) {
  if (value.kind != Yaml::Kind::map) return fail_at(value, "a network is a map that begins with version: 2");
  if (const Yaml* inner = value.find("network"); inner != nullptr) {
    if (value.keys.size() > 1) return fail_at(value, "beside 'network:' nothing else may stand");
    if (inner->find("network") != nullptr) return fail_at(*inner, "a second 'network:' inside the first");
    return network_from(*inner);
  }
  for (std::size_t i = 0; i < value.keys.size(); ++i) STAMPEDE_CHECK(check_member(value.keys[i], value.values[i]));
  if (value.find("version") == nullptr) return fail_at(value, "the network has no version; it must be 2");
  return emit_yaml(value);
}

Result<std::string> parse_network(std::string_view yaml) {
  auto value = parse_yaml(yaml);
  if (!value) return pass(std::move(value).error(), "the network's YAML");
  auto out = network_from(*value);
  if (!out) return pass(std::move(out).error(), "the network's YAML");
  return out;
}

}  // namespace stampede::firstboot
