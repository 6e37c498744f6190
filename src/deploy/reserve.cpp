#include "src/deploy/reserve.h"

#include <algorithm>

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

// Of what this site has deployed onto the disk, by the GUID on it.
Result<std::optional<Receipt>> receipt_of(Access& access, const disk::Disk& meant) {
  if (meant.guid.empty()) return std::nullopt;
  return access.receipt_of(meant);
}

std::optional<chunker::ImageId> image_of(const Receipt& receipt) {
  const auto digest = from_hex(receipt.image);
  chunker::ImageId image;
  if (!digest || digest->size() != image.digest.size()) return std::nullopt;
  std::ranges::copy(*digest, image.digest.begin());
  return image;
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
  const auto ours = receipt_of(access, meant);
  if (ours && *ours) out.former = image_of(**ours);
  // Then it may be replaced. One of several need not be meant by an --overwrite; a single disk that is not has been mistaken
  // for another.
  if (!needs.overwrite && (options.overwrite.empty() || options.group)) {
    if (!ours) return pass(ours.error());
    if (*ours) {
      needs.deployed = meant.guid;
      out.deployed = fmt::format("{} (deployment {})", (*ours)->name, (*ours)->deployment.substr(0, 12));
    }
  }
  // Where none of them names it, the guard tells of one that does not.
  if (!needs.overwrite && needs.deployed.empty() && !options.overwrite.empty()) needs.overwrite = options.overwrite.front();
  STAMPEDE_TRY(out.disk, disk::open_guarded(options.disk, needs, disks));
  return {};
}

std::optional<Former> read_former(Access& access, const chunker::ImageId& former, Size disk, const Plan& plan) {
  auto manifest = access.manifest(former, [&](const chunker::Root& root) -> Result<> {
    if (root.disk_size > disk) return fail(Code::too_small, "it is another disk's");
    return former_beside(root, plan.chunks());
  });
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
