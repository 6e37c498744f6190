#include "src/volume/generalise.h"

#include <algorithm>

#include "src/volume/ext4.h"
#include "src/volume/fat.h"
#include "src/volume/lint.h"
#include "src/volume/lint_rules.h"
#include "src/volume/text.h"

namespace stampede::volume {

namespace {

constexpr Size kMostText = 1_MiB;
constexpr std::string_view kSystemd[] = {"/usr/lib/systemd/systemd", "/lib/systemd/systemd"};
constexpr std::string_view kUnitFolders[] = {"/usr/lib/systemd/system", "/lib/systemd/system"};
constexpr std::string_view kServers[] = {"ssh.service", "ssh@.service", "sshd.service", "sshd@.service"};
constexpr std::string_view kKeyMaker = "/usr/bin/ssh-keygen";
constexpr std::string_view kUnit = "/etc/systemd/system/stampede-host-keys.service";

// After cloud-init, which makes its own first where it is at work.
constexpr std::string_view kUnitText =
    "# By `stampede image import --generalise`: each machine makes SSH host keys of its own.\n"
    "[Unit]\n"
    "Description=SSH host keys of this machine's own\n"
    "ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key\n"
    "After=cloud-init.service\n"
    "Before=ssh.service sshd.service\n"
    "\n"
    "[Service]\n"
    "Type=oneshot\n"
    "ExecStart=/usr/bin/ssh-keygen -A\n";
constexpr std::string_view kServerText =
    "[Unit]\n"
    "Wants=stampede-host-keys.service\n"
    "After=stampede-host-keys.service\n";

bool exists_one(const Ext4& files, auto const& paths) {
  return std::ranges::any_of(paths, [&](std::string_view path) { return files.exists(path); });
}

// The SSH servers that systemd starts.
std::vector<std::string> servers(const Ext4& files) {
  std::vector<std::string> out;
  if (!exists_one(files, kSystemd) || !files.exists(kKeyMaker)) return out;
  for (const std::string_view name : kServers)
    if (std::ranges::any_of(kUnitFolders, [&](auto folder) { return files.exists(fmt::format("{}/{}", folder, name)); }))
      out.emplace_back(name);
  return out;
}

class Generaliser {
 public:
  Generaliser(Ext4& files, const ImageFacts& facts) : files_(files), facts_(facts) {}

  Result<> remove(const Finding& one) {
    if (one.path == kMachineId) return files_.rewrite(kMachineId, {});
    if (one.path.ends_with('/')) return files_.clear(std::string_view(one.path).substr(0, one.path.size() - 1));
    if (one.code == "ssh-host-key") {
      for (const char* beside : {".pub", "-cert.pub"}) STAMPEDE_CHECK(files_.erase(one.path + beside));
      has_lost_keys_ = true;
    }
    if (!goes_by_lines(one)) return files_.erase(one.path);
    STAMPEDE_TRY(const Bytes text, files_.read(one.path, kMostText));
    return files_.rewrite(one.path, as_bytes(without_hardware(as_text(text))));
  }

  Result<> have_keys_made(std::vector<std::string>& written) {
    if (!has_lost_keys_) return {};
    const auto names = servers(files_);
    if (names.empty() && !facts_.cloud_init.value_or(false))
      return fail(
          Code::cannot_customise,
          "the image has SSH host keys, and neither cloud-init nor systemd and ssh-keygen to make new ones; remove them "
          "from the template, and have something make new ones");
    if (names.empty()) return {};
    STAMPEDE_CHECK(write(std::string(kUnit), kUnitText, written));
    for (const std::string& name : names)
      STAMPEDE_CHECK(write(fmt::format("/etc/systemd/system/{}.d/stampede-host-keys.conf", name), kServerText, written));
    return {};
  }

 private:
  Result<> write(std::string path, std::string_view text, std::vector<std::string>& written) {
    STAMPEDE_CHECK(files_.write(path, as_bytes(text), 0644));
    written.push_back(std::move(path));
    return {};
  }
  static bool goes_by_lines(const Finding& one) {
    return std::ranges::any_of(lint_rules(), [&](const LintRule& rule) {
      return rule.code == one.code && rule.kind == LintRule::Kind::lines && one.path.starts_with(rule.folder) &&
             one.path.find('/', rule.folder.size() + 1) == std::string::npos;
    });
  }

  Ext4& files_;
  const ImageFacts& facts_;
  bool has_lost_keys_ = false;
};

bool is_of_root(const Finding& one) { return one.path.starts_with('/'); }

Result<> remove_from_fat(BlockAccess& blocks, const ImageFacts& facts) {
  for (const PartitionFacts& partition : facts.partitions) {
    if (partition.filesystem != "vfat") continue;
    auto fat = Fat::open(blocks, partition.offset, partition.length);
    if (!fat) continue;  // where lint has not found anything either
    STAMPEDE_TRY(const auto files, fat->files());
    if (const auto seed = std::ranges::find(files, kLoaderSeed, &Fat::Entry::path); seed != files.end())
      STAMPEDE_CHECK(fat->remove(*seed));
  }
  return {};
}

}  // namespace

Result<Generalised> generalise(BlockAccess& blocks, const ImageFacts& facts) {
  STAMPEDE_TRY(auto found, lint(blocks, facts));
  if (!facts.root->clean)
    return fail(Code::cannot_customise,
                "the root file system is not clean, or has a feature with which it cannot be edited; shut the template down "
                "properly, or run e2fsck");
  Generalised out;
  out.removed = std::move(found.findings);
  if (out.removed.size() >= kMostFindings)
    return fail(Code::cannot_customise, "the image holds {} things or more to remove; mend the template", kMostFindings);
  STAMPEDE_TRY(Ext4 files, Ext4::open(blocks, facts.root->offset, true));
  files.keep_time();
  Generaliser generaliser(files, facts);
  for (const Finding& one : out.removed)
    if (is_of_root(one)) STAMPEDE_CHECK(generaliser.remove(one));
  STAMPEDE_CHECK(generaliser.have_keys_made(out.written));
  STAMPEDE_CHECK(files.close());
  if (!std::ranges::all_of(out.removed, is_of_root)) STAMPEDE_CHECK(remove_from_fat(blocks, facts));
  STAMPEDE_CHECK(blocks.flush());
  STAMPEDE_TRY(const auto left, lint(blocks, facts));
  if (!left.findings.empty())
    return fail(Code::readback_mismatch, "{} was removed and is still there", printable(left.findings.front().path));
  return out;
}

}  // namespace stampede::volume
