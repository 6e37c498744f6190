#include "src/firstboot/apply.h"

#include <algorithm>

#include "src/volume/ext4.h"

namespace stampede::firstboot {

namespace {

using volume::Ext4;

constexpr std::string_view kSshFolder = "/etc/ssh";

Result<std::vector<std::string>> host_keys(const Ext4& files) {
  if (!files.exists(kSshFolder)) return std::vector<std::string>{};
  STAMPEDE_TRY(auto names, files.list(kSshFolder));
  std::erase_if(names, [](const std::string& name) { return !name.starts_with("ssh_host_"); });
  std::ranges::sort(names);
  return names;
}

// Nothing to remove, or a folder, which is none of the files meant; or the link that Debian's dbus has to /etc/machine-id,
// which is emptied anyhow.
Result<bool> is_needless(const Ext4& files, const FileEdit& edit) {
  if (edit.kind != FileEdit::Kind::remove) return false;
  STAMPEDE_TRY(const Ext4::Kind kind, files.kind(edit.path));
  return kind == Ext4::Kind::none || kind == Ext4::Kind::folder ||
         (kind == Ext4::Kind::link && edit.path == "/var/lib/dbus/machine-id");
}

Result<std::vector<FileEdit>> make_edits(volume::BlockAccess& blocks, const volume::ImageFacts& facts,
                                         const Instance& instance, const std::string& instance_id) {
  STAMPEDE_TRY(Ext4 files, Ext4::open(blocks, facts.root->offset, true));
  STAMPEDE_TRY(const auto keys, host_keys(files));
  std::vector<FileEdit> done;
  for (FileEdit& edit : render(instance, instance_id, facts.cloud_init.value_or(false), keys)) {
    STAMPEDE_TRY(const bool needless, is_needless(files, edit));
    if (needless) continue;
    if (edit.kind == FileEdit::Kind::write) STAMPEDE_CHECK(files.write(edit.path, as_bytes(edit.content), edit.mode));
    if (edit.kind == FileEdit::Kind::remove) STAMPEDE_CHECK(files.remove(edit.path));
    done.push_back(std::move(edit));
  }
  STAMPEDE_CHECK(files.close());
  return done;
}

Result<> read_back(const Ext4& files, const FileEdit& edit) {
  if (edit.kind == FileEdit::Kind::remove) {
    STAMPEDE_TRY(const Ext4::Kind kind, files.kind(edit.path));
    if (kind == Ext4::Kind::none) return {};
    return fail(Code::readback_mismatch, "{} was removed and is still there", edit.path);
  }
  STAMPEDE_TRY(const Bytes content, files.read(edit.path, {edit.content.size()}));
  if (as_text(content) == edit.content) return {};
  return fail(Code::readback_mismatch, "{} does not hold what was written", edit.path);
}

}  // namespace

Result<> check(const volume::ImageFacts& facts) {
  if (!facts.root)
    return fail(Code::cannot_customise, "the image has no root file system that is known; deploy it without an instance");
  if (!volume::is_ext(facts.root->filesystem))
    return fail(Code::cannot_customise, "the image's root file system is {}; only ext4 can be customised",
                facts.root->filesystem.empty() ? "unknown" : facts.root->filesystem);
  if (!facts.root->clean)
    return fail(Code::cannot_customise,
                "the image's root file system is not clean, or cannot be edited: it has a feature such as "
                "quota, project or mmp, or a folder of /etc or /var/lib that is a link to nowhere; mend the template "
                "and package it again, or deploy it without an instance");
  return {};
}

Result<std::vector<std::string>> apply(volume::BlockAccess& blocks, const volume::ImageFacts& facts,
                                       const Instance& instance, const std::string& instance_id) {
  STAMPEDE_CHECK(check(facts));
  auto edits = make_edits(blocks, facts, instance, instance_id);
  if (!edits) return pass(std::move(edits).error(), "customising the root file system");
  std::vector<std::string> out;
  auto files = Ext4::open(blocks, facts.root->offset, false);
  if (!files) return pass(std::move(files).error(), "reading the customised root file system back");
  for (const FileEdit& edit : *edits) {
    if (auto same = read_back(*files, edit); !same)
      return pass(std::move(same).error(), "reading the customised root file system back");
    out.push_back(edit.path);
  }
  return out;
}

}  // namespace stampede::firstboot
