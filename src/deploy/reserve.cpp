#include "src/deploy/reserve.h"

#include "src/deploy/memory.h"
#include "src/disk/rules.h"
#include "src/firstboot/apply.h"

namespace stampede::deploy {

namespace {

Result<> check_instance(const Options& options, const volume::ImageFacts& facts) {
  if (options.instance.empty()) return {};
  STAMPEDE_CHECK(firstboot::check(facts));
  if (facts.cloud_init == false)
    options.warn(
        "the image has no cloud-init that would read a seed (none, or switched off, or without NoCloud, or /var is a file "
        "system of its own): network, keys and user data are written as a seed that nothing reads, and the SSH "
        "host keys stay those of the template, since nothing would make new ones");
  return {};
}

std::optional<std::string> overwrite_that_names(const Options& options, const disk::Disk& meant) {
  for (const std::string& id : options.overwrite)
    if (disk::overwrite_names(id, meant)) return id;
  return std::nullopt;
}

// Has this site deployed what is on the disk, by the GUID on it?
Result<bool> is_ours(Access& access, const disk::Disk& meant, Reserved& out) {
  if (meant.guid.empty()) return false;
  STAMPEDE_TRY(const auto found, access.receipt_of(meant));
  if (!found) return false;
  out.deployed = fmt::format("{} (deployment {})", found->name, found->deployment.substr(0, 12));
  out.former.id = found->image;
  return true;
}

}  // namespace

Result<> reserve(Access& access, const Options& options, Reserved& out) {
  STAMPEDE_TRY(out.record, access.resolve(options.image));
  STAMPEDE_CHECK(check_instance(options, out.record.facts));
  STAMPEDE_CHECK(check_fit(options.fit, out.record.facts));
  STAMPEDE_TRY(const auto disks, disk::list_disks());
  out.disks = disks.size();
  disk::Needs needs{.size = out.record.disk_size,
                    .sector_size = out.record.facts.sector_size,
                    .file_size = options.file_size,
                    .base = options.base};
  // What stands against the disk is the guard's to say.
  const auto looked = disk::look_at_selected(options.disk, disks);
  const disk::Disk meant = looked ? *looked : disk::Disk{.path = options.disk.file().value_or("")};
  needs.overwrite = overwrite_that_names(options, meant);
  const auto ours = is_ours(access, meant, out);
  // Then it may be replaced. One of several need not be meant by an --overwrite; a single disk that is not has been mistaken
  // for another.
  if (!needs.overwrite && (options.overwrite.empty() || options.group)) {
    if (!ours) return pass(ours.error());
    if (*ours) needs.deployed = meant.guid;
  }
  // Where none of them names it, the guard tells of one that does not.
  if (!needs.overwrite && needs.deployed.empty() && !options.overwrite.empty()) needs.overwrite = options.overwrite.front();
  STAMPEDE_TRY(out.disk, disk::open_guarded(options.disk, needs, disks));
  return {};
}

std::optional<Former> read_former(Access& access, const chunker::ImageRef& former, const Plan& plan) {
  if (!former.exact()) return std::nullopt;
  const auto record = access.resolve(former);
  if (!record) return std::nullopt;
  auto manifest = access.manifest(*record, [&](const chunker::Root& root) { return former_beside(root, plan.chunks()); });
  if (!manifest) return std::nullopt;
  return Former(plan, *std::move(manifest));
}

Result<ReadImage> read_image(Access& access, const Options& options, const chunker::TagRecord& record) {
  ReadImage out;
  STAMPEDE_TRY(out.manifest, access.manifest(record, [&](const chunker::Root& root) -> Result<> {
    STAMPEDE_TRY(out.cache, cache_beside(root, options.memory));
    return {};
  }));
  if (out.manifest.root.sector_size != record.facts.sector_size)
    return fail(Code::content_altered, "the manifest of {} is not what its tag record says", record.name.text());
  return out;
}

}  // namespace stampede::deploy
