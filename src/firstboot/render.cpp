#include <algorithm>

#include "src/firstboot/apply.h"
#include "src/firstboot/yaml.h"

namespace stampede::firstboot {

namespace {

constexpr std::string_view kSeed = "/var/lib/cloud/seed/nocloud/";
constexpr std::size_t kMostKernelHostname = 64;
constexpr unsigned kSecret = 0600;  // user data may hold passwords

// Keys go into the metadata, so that they work beside user data of any kind, scripts too.
std::string meta_data(const Instance& instance, const std::string& instance_id) {
  Yaml out;
  add(out, "instance-id", yaml_string(instance_id));
  if (instance.hostname) add(out, "local-hostname", yaml_string(*instance.hostname));
  if (!instance.ssh_keys.empty()) add(out, "public-keys", yaml_list(instance.ssh_keys));
  return emit_yaml(out);
}

// An image may be set to keep its hostname; an instance that was given one is not to.
std::string user_data(const Instance& instance) {
  if (instance.user_data) return *instance.user_data;
  return instance.hostname ? "#cloud-config\npreserve_hostname: false\n" : "#cloud-config\n{}\n";
}

// Linux takes 64 characters: of a longer name its first label, which has at most 63.
std::string etc_hostname(const std::string& hostname) {
  return (hostname.size() <= kMostKernelHostname ? hostname : hostname.substr(0, hostname.find('.'))) + "\n";
}

std::string roles_file(const std::vector<std::string>& roles) {
  std::string out;
  for (const std::string& role : roles) out += role + "\n";
  return out;
}

FileEdit write(std::string path, std::string content, unsigned mode) {
  return {.kind = FileEdit::Kind::write, .path = std::move(path), .content = std::move(content), .mode = mode};
}
FileEdit remove(std::string path) {
  return {.kind = FileEdit::Kind::remove, .path = std::move(path), .content = {}, .mode = 0};
}

}  // namespace

std::vector<FileEdit> render(const Instance& instance, const std::string& instance_id, bool cloud_init,
                             const std::vector<std::string>& existing_host_keys) {
  const std::string seed(kSeed);
  std::vector<FileEdit> out;
  out.push_back(write(seed + "meta-data", meta_data(instance, instance_id), kSecret));
  out.push_back(write(seed + "user-data", user_data(instance), kSecret));
  // Without a network of its own the instance must not come up with the one of the machine that the template was.
  out.push_back(instance.network ? write(seed + "network-config", *instance.network, kSecret)
                                 : remove(seed + "network-config"));
  out.push_back(write("/etc/machine-id", "", 0444));
  out.push_back(remove("/var/lib/dbus/machine-id"));
  out.push_back(remove("/var/lib/systemd/random-seed"));
  out.push_back(remove("/var/lib/systemd/credential.secret"));
  // Nobody else would make new ones, and without any sshd does not start.
  if (cloud_init)
    for (const std::string& key : existing_host_keys) out.push_back(remove("/etc/ssh/" + key));
  if (!instance.roles.empty()) out.push_back(write("/etc/stampede/roles", roles_file(instance.roles), 0644));
  if (!cloud_init && instance.hostname) out.push_back(write("/etc/hostname", etc_hostname(*instance.hostname), 0644));
  return out;
}

}  // namespace stampede::firstboot
