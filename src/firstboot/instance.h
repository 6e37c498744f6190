// The neutral description of an instance: what makes a written disk its own machine. yaml-cpp's home.
//
// The file (--instance), YAML, every member optional:
//   hostname: web-1
//   roles: [base, web]            # in order
//   network: {version: 2, …}      # netplan v2; a top-level "network:" wrapper is accepted
//   ssh_keys: ["ssh-ed25519 AAAA… who"]
//   user_data: |                  # cloud-init user data, "#cloud-config" or a script
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/error.h"

namespace stampede::firstboot {

struct Instance {
  std::optional<std::string> hostname;
  std::vector<std::string> roles;
  std::optional<std::string> network;  // netplan v2 YAML without the "network:" wrapper
  std::vector<std::string> ssh_keys;
  std::optional<std::string> user_data;
  bool empty() const { return !hostname && roles.empty() && !network && ssh_keys.empty() && !user_data; }
};

// Errors: usage, with line and column where YAML has them; unknown members are errors.
Result<Instance> parse_instance(std::string_view yaml);
// Each checks and normalises one part: for the flags, which are the file's shorthand.
Result<std::string> check_hostname(std::string_view text);  // RFC 1123, at most 253; one or more labels
Result<std::string> check_role(std::string_view text);      // [a-z0-9][a-z0-9._-]*
// Not empty, and of a kind that cloud-init acts on: a line that begins with '#', a MIME message, or gzip.
Result<std::string> check_user_data(std::string_view text);
Result<std::string> parse_network(std::string_view yaml);                           // version 2, known top-level keys
Result<std::vector<std::string>> parse_ssh_keys(std::string_view authorized_keys);  // comments and empty lines skipped
// Flags win over the file; roles and keys are appended.
Instance merge(Instance file, Instance flags);

}  // namespace stampede::firstboot
