#include "src/volume/lint.h"

#include <fnmatch.h>

#include <algorithm>
#include <sstream>

#include "src/volume/ext4.h"
#include "src/volume/fat.h"
#include "src/volume/lint_rules.h"
#include "src/volume/text.h"

namespace stampede::volume {

namespace {

constexpr Size kMostText = 1_MiB;
constexpr std::size_t kMostNames = 20000, kDeepest = 8;

constexpr LintCode kLintCodes[] = {
    {"machine-id", false, "the id of a machine", "copies with one id take one another's DHCP leases and journals",
     "empty it: each copy makes its own at its first start"},
    {"ssh-host-key", false, "an SSH host key", "who has one copy can pass for all others",
     "remove it, and have each copy make its own"},
    {"dhcp-lease", false, "a DHCP lease", "copies ask for the same address", "remove it"},
    {"dhcp-id", false, "what a DHCP client is known by", "copies are one and the same client to a DHCP server", "remove it"},
    {"net-rule", false, "names for network cards of one machine", "the cards of copies get other names than the first one's",
     "remove it"},
    {"net-hardware", false, "network configuration for a hardware address",
     "it fits no copy, or gives all of them the same address", "remove it"},
    {"cloud-instance", false, "what cloud-init knows of one machine", "what it has done there it may not do on copies",
     "`cloud-init clean`"},
    {"cloud-seed", false, "cloud-init's data for one machine", "copies take its hostname, its keys and its user data",
     "remove it: a deployment writes each its own"},
    {"random-seed", false, "a saved random seed", "copies begin with the same randomness", "remove it"},
    {"credential-secret", false, "systemd's secret for credentials", "who has one copy can read what others encrypt",
     "remove it: each copy makes its own"},
    {"agent-id", false, "a management agent's key or id", "copies are one and the same machine to their server",
     "remove it: the agent makes a new one"},
    {"hostname", true, "a hostname", "copies share it until they get their own", "`stampede deploy --hostname`"},
    {"private-key", true, "a private key", "all copies hold it", "remove it, unless they are meant to"},
    {"storage-id", true, "what a storage server knows a machine by", "copies may be taken for one machine",
     "let each copy make its own"},
    {"no-cloud-init", true, "no cloud-init that reads a seed from the root file system",
     "a deployment sets hostname and machine-id, and no more", "install cloud-init, with NoCloud among its sources"},
    {"unclean", true, "a file system that was not unmounted", "what it says may be out of date", "shut the template down"},
    {"not-seen", true, "another file system is mounted here", "it was not looked at", "look there yourself"},
};
constexpr LintCode kUnknown{};

constexpr std::string_view kGenericNames[] = {
    "localhost", "localhost.localdomain", "template", "image", "linux", "host", "debian", "ubuntu"};
constexpr std::string_view kMountsOver[] = {"/var", "/var/lib", "/etc", "/etc/ssh", "/var/lib/cloud"};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'f'); }

// "52:54:00:12:34:56" somewhere in it.
bool has_address(std::string_view line) {
  constexpr std::size_t kLength = 17;
  for (std::size_t at = 0; at + kLength <= line.size(); ++at) {
    std::size_t i = 0;
    while (i < kLength && (i % 3 == 2 ? line[at + i] == ':' || line[at + i] == '-' : is_hex(line[at + i]))) ++i;
    if (i == kLength) return true;
  }
  return false;
}

bool line_names_hardware(std::string_view line) {
  line = trimmed(line);
  if (line.empty() || line.front() == '#' || line.front() == ';') return false;
  std::string low(line);
  std::ranges::transform(low, low.begin(), lower);
  return (low.find("mac") != low.npos || low.find("hwaddr") != low.npos) && has_address(line);
}

class Linter {
 public:
  Linter(const Ext4& files, Lint& out) : files_(files), out_(out) {}

  Result<> run() {
    STAMPEDE_CHECK(look_at_machine_id());
    for (const LintRule& rule : lint_rules()) STAMPEDE_CHECK(apply(rule));
    look_at_hostname();
    look_at_mounts();
    return {};
  }

 private:
  void add(std::string_view code, std::string path) {
    auto& list = lint_code(code).note ? out_.notes : out_.findings;
    if (list.size() < kMostFindings) list.push_back({std::string(code), std::move(path)});
  }

  Result<std::string> text_of(std::string_view path) const {
    auto bytes = files_.read(path, kMostText);
    if (!bytes && bytes.error().code == Code::not_found) return "";
    if (!bytes) return pass(std::move(bytes).error());
    return std::string(as_text(*bytes));
  }

  // "uninitialized" is systemd's word for a first start.
  Result<> look_at_machine_id() {
    STAMPEDE_TRY(const std::string text, text_of(kMachineId));
    if (const auto id = trimmed(text); !id.empty() && id != "uninitialized") add("machine-id", std::string(kMachineId));
    return {};
  }

  // Of a folder, or a link to one; nothing where there is none.
  Result<std::vector<std::string>> names(std::string_view folder) const {
    std::vector<std::string> none;
    STAMPEDE_TRY(const Ext4::Kind kind, files_.kind(folder));
    if (kind != Ext4::Kind::folder && kind != Ext4::Kind::link) return none;
    auto out = files_.list(folder);
    if (!out && kind == Ext4::Kind::link) return none;
    if (out && out->size() > kMostNames)
      return fail(Code::read_failed, "{} holds more than {} names", printable(folder), kMostNames);
    if (out) std::ranges::sort(*out);
    return out;
  }

  Result<> apply(const LintRule& rule) {
    if (rule.kind == LintRule::Kind::content) {
      std::size_t count = 0;
      STAMPEDE_TRY(const bool some, holds_a_file(std::string(rule.folder), 0, count));
      if (some) add(rule.code, std::string(rule.folder) + "/");
      return {};
    }
    const std::string pattern(rule.pattern);
    STAMPEDE_TRY(const auto all, names(rule.folder));
    for (const std::string& name : all) {
      if (::fnmatch(pattern.c_str(), name.c_str(), 0) != 0) continue;
      std::string path = fmt::format("{}/{}", rule.folder, name);
      STAMPEDE_TRY(const bool hit, matches(rule, path));
      if (hit) add(rule.code, std::move(path));
    }
    return {};
  }

  Result<bool> matches(const LintRule& rule, const std::string& path) const {
    STAMPEDE_TRY(const Ext4::Kind kind, files_.kind(path));
    if (rule.kind == LintRule::Kind::link) return kind == Ext4::Kind::link;
    if (kind != Ext4::Kind::file) return false;
    if (rule.kind == LintRule::Kind::files) {
      if (rule.code == "private-key" && path.ends_with(".pub")) return false;
      STAMPEDE_TRY(const Size size, files_.size(path));
      return size > Size{};
    }
    STAMPEDE_TRY(const std::string text, text_of(path));
    return names_hardware(text);
  }

  Result<bool> holds_a_file(const std::string& folder, std::size_t depth, std::size_t& count) const {
    STAMPEDE_TRY(const auto all, names(folder));
    for (const std::string& name : all) {
      if (++count > kMostNames || depth > kDeepest)
        return fail(Code::read_failed, "there is more in {} than can be looked at", printable(folder));
      const std::string path = fmt::format("{}/{}", folder, name);
      STAMPEDE_TRY(const Ext4::Kind kind, files_.kind(path));
      if (kind != Ext4::Kind::folder) return true;
      STAMPEDE_TRY(const bool some, holds_a_file(path, depth + 1, count));
      if (some) return true;
    }
    return false;
  }

  void look_at_hostname() {
    const auto text = text_of("/etc/hostname");
    const std::string_view name = text ? trimmed(*text) : "";
    if (!name.empty() && std::ranges::find(kGenericNames, name) == std::end(kGenericNames)) add("hostname", "/etc/hostname");
  }

  void look_at_mounts() {
    const auto text = text_of("/etc/fstab");
    std::istringstream in(text.value_or(""));
    for (std::string line; std::getline(in, line);) {
      std::istringstream fields(line);
      std::string device, where;
      if (!(fields >> device >> where) || device.starts_with('#')) continue;
      while (where.size() > 1 && where.ends_with('/')) where.pop_back();
      if (std::ranges::find(kMountsOver, where) != std::end(kMountsOver)) add("not-seen", where);
    }
  }

  const Ext4& files_;
  Lint& out_;
};

// A FAT that cannot be read holds no seed that a boot loader could read.
void look_at_boot_loaders(BlockAccess& blocks, const ImageFacts& facts, Lint& out) {
  for (const PartitionFacts& partition : facts.partitions) {
    if (partition.filesystem != "vfat" || out.findings.size() >= kMostFindings) continue;
    const auto fat = Fat::open(blocks, partition.offset, partition.length);
    if (!fat) continue;
    const auto files = fat->files();
    if (files && std::ranges::find(*files, kLoaderSeed, &Fat::Entry::path) != files->end())
      out.findings.push_back({"random-seed", fmt::format("partition {}: {}", partition.number, kLoaderSeed)});
  }
}

void put_in_order(std::vector<Finding>& findings) {
  const auto place = [](const Finding& one) {
    return std::pair(std::ranges::find(kLintCodes, one.code, &LintCode::code), std::string_view(one.path));
  };
  std::ranges::sort(findings, {}, place);
}

}  // namespace

std::span<const LintCode> lint_codes() { return kLintCodes; }

const LintCode& lint_code(std::string_view code) {
  const auto* const at = std::ranges::find(kLintCodes, code, &LintCode::code);
  return at == std::end(kLintCodes) ? kUnknown : *at;
}

bool names_hardware(std::string_view text) {
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);)
    if (line_names_hardware(line)) return true;
  return false;
}

std::string without_hardware(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    if (!line_names_hardware(line)) out += line;
    text.remove_prefix(line.size());
  }
  return out;
}

Result<Lint> lint(BlockAccess& blocks, const ImageFacts& facts) {
  if (!facts.root) return fail(Code::cannot_customise, "the image has no root file system that is known");
  if (!is_ext(facts.root->filesystem))
    return fail(Code::cannot_customise, "the root file system is {}; only ext4 is looked at",
                facts.root->filesystem.empty() ? "unknown" : printable(facts.root->filesystem));
  Lint out;
  auto files = Ext4::look(blocks, facts.root->offset);
  if (!files) return pass(std::move(files).error());
  STAMPEDE_CHECK(Linter(*files, out).run());
  look_at_boot_loaders(blocks, facts, out);
  if (!Ext4::open(blocks, facts.root->offset, false)) out.notes.push_back({"unclean", ""});
  if (!facts.cloud_init.value_or(false)) out.notes.push_back({"no-cloud-init", ""});
  put_in_order(out.findings);
  put_in_order(out.notes);
  return out;
}

}  // namespace stampede::volume
