#include "src/volume/root.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "src/volume/cloud_init.h"
#include "src/volume/ext4.h"
#include "src/volume/superblock.h"
#include "src/volume/text.h"

namespace stampede::volume {

namespace {

constexpr std::string_view kOsRelease[] = {"/etc/os-release", "/usr/lib/os-release"};
constexpr std::string_view kPrograms[] = {"/bin/sh", "/usr/bin/env", "/sbin/init", "/usr/bin/true",
                                          "/usr/lib/systemd/systemd"};
constexpr std::string_view kEdited[] = {"/etc",     "/etc/ssh",       "/etc/stampede",       "/var",
                                        "/var/lib", "/var/lib/cloud", "/var/lib/cloud/seed", "/var/lib/cloud/seed/nocloud"};
constexpr std::size_t kMostKernels = 16;
constexpr std::size_t kLongestKernel = 128;
constexpr std::string_view kElf = "\177ELF";
constexpr std::string_view kRootLabels[] = {"root", "rootfs", "cloudimg-rootfs"};

// Discoverable Partitions Specification, "Root Partition" of each machine.
constexpr std::pair<std::string_view, std::string_view> kRootTypes[] = {
    {"4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "x86_64"},  {"44479540-f297-41b2-9af7-d131d5f0458a", "i686"},
    {"b921b045-1df0-41c3-af44-4c6f280d3fae", "aarch64"}, {"69dad710-2ce4-4e3c-b16c-21a1d49abed3", "arm"},
    {"72ec70a6-cf74-40e6-bd49-4bda08e8f224", "riscv64"}, {"60d5a7fe-8e7d-435c-b714-3dd8162144e1", "riscv32"},
    {"c31c45e6-3f39-412e-80fb-4809c4980599", "ppc64le"}, {"912ade1d-a839-4913-8964-a10eee08fbd2", "ppc64"},
    {"5eead9a9-fe09-4a1e-a1d7-520d00531306", "s390x"},   {"77055800-792c-4f94-b39a-98c91b762bb6", "loongarch64"},
};

RootFacts root_of(const PartitionFacts& partition) {
  return {.partition = partition.number,
          .offset = partition.offset,
          .length = partition.length,
          .filesystem = partition.filesystem,
          .label = partition.label,
          .uuid = partition.uuid,
          .clean = false};
}

bool holds_os_release(BlockAccess& blocks, const PartitionFacts& partition) {
  if (!is_ext(partition.filesystem)) return false;
  const auto files = Ext4::look(blocks, partition.offset);
  return files && std::ranges::any_of(kOsRelease, [&](std::string_view path) { return files->exists(path); });
}

// No folder for first-boot edits is a link to nowhere: that would be found when the disk is half written.
bool has_sound_folders(BlockAccess& blocks, Offset offset) {
  const auto files = Ext4::look(blocks, offset);
  return files && std::ranges::none_of(kEdited, [&](std::string_view path) {
           const auto kind = files->kind(path);
           return kind && *kind != Ext4::Kind::none && !files->exists(path);
         });
}

// The only one that a rule picks; none if it picks several.
template <class Rule>
const PartitionFacts* only(const std::vector<PartitionFacts>& partitions, Rule rule) {
  const PartitionFacts* out = nullptr;
  for (const PartitionFacts& partition : partitions) {
    if (!rule(partition)) continue;
    if (out != nullptr) return nullptr;
    out = &partition;
  }
  return out;
}

std::optional<std::string> architecture_in(const Ext4& files) {
  for (const std::string_view path : kPrograms) {
    const auto program = files.read(path, 16_MiB);
    if (!program) continue;
    if (auto machine = architecture_of_elf(*program); machine) return machine;
  }
  return std::nullopt;
}

// By the names of their files; at most kMostKernels, as names are an image's to choose.
std::vector<std::string> names_after(const Ext4& files, std::string_view folder, std::string_view prefix) {
  std::vector<std::string> out;
  const auto names = files.list(folder);
  if (!names) return out;
  for (const std::string& name : *names)
    if (name.starts_with(prefix) && name.size() > prefix.size() && name.size() - prefix.size() <= kLongestKernel)
      out.push_back(name.substr(prefix.size()));
  std::ranges::sort(out, [](const auto& a, const auto& b) { return ::strverscmp(a.c_str(), b.c_str()) > 0; });
  if (out.size() > kMostKernels) out.resize(kMostKernels);
  return out;
}

std::vector<std::string> kernels_in(const Ext4& files) {
  auto kernels = names_after(files, "/boot", "vmlinuz-");
  return kernels.empty() ? names_after(files, "/lib/modules", "") : kernels;
}

}  // namespace

bool is_ext(std::string_view filesystem) { return filesystem == "ext4" || filesystem == "ext3" || filesystem == "ext2"; }

std::optional<std::string> architecture_of_type(std::string_view type_guid) {
  const auto* const at = std::ranges::find(kRootTypes, type_guid, [](const auto& pair) { return pair.first; });
  if (at == std::end(kRootTypes)) return std::nullopt;
  return std::string(at->second);
}

std::optional<std::string> architecture_of_elf(ByteView file) {
  // 0 "\x7fELF", 4 class (1: 32 bits, 2: 64), 5 byte order (1 little, 2 big), 18 machine (u16).
  if (file.size() < 20 || !as_text(file).starts_with(kElf)) return std::nullopt;
  const bool wide = file[4] == std::byte{2}, big = file[5] == std::byte{2};
  std::uint16_t machine = load_le<std::uint16_t>(file.subspan(18));
  if (big) machine = std::byteswap(machine);
  switch (machine) {
    case 3:
      return "i686";
    case 21:
      return big ? "ppc64" : "ppc64le";
    case 22:
      return wide ? "s390x" : "s390";
    case 40:
      return "arm";
    case 62:
      return "x86_64";
    case 183:
      return "aarch64";
    case 243:
      return wide ? "riscv64" : "riscv32";
    case 258:
      return "loongarch64";
    default:
      return std::nullopt;
  }
}

std::optional<RootFacts> find_root(BlockAccess& blocks, const ImageFacts& facts) {
  const auto by_type = [](const PartitionFacts& p) { return architecture_of_type(p.type).has_value(); };
  const auto by_label = [](const PartitionFacts& p) {
    return !p.filesystem.empty() && std::ranges::find(kRootLabels, p.label) != std::end(kRootLabels);
  };
  const auto by_content = [&](const PartitionFacts& p) { return holds_os_release(blocks, p); };
  const PartitionFacts* found = only(facts.partitions, by_type);
  if (found == nullptr) found = only(facts.partitions, by_label);
  if (found == nullptr) found = only(facts.partitions, by_content);
  if (found == nullptr) return std::nullopt;
  RootFacts out = root_of(*found);
  if (is_ext(out.filesystem)) {
    const auto super = read_superblock(blocks, out.offset);
    out.clean = super && super->unclean().empty() && super->not_editable().empty() && has_sound_folders(blocks, out.offset);
  }
  return out;
}

void look_into_root(BlockAccess& blocks, ImageFacts& facts) {
  const auto at_root = [&](const PartitionFacts& p) { return p.number == facts.root->partition; };
  if (const auto at = std::ranges::find_if(facts.partitions, at_root); at != facts.partitions.end())
    facts.architecture = architecture_of_type(at->type);
  if (!is_ext(facts.root->filesystem)) return;
  const auto files = Ext4::look(blocks, facts.root->offset);
  if (!files) return;
  if (!facts.architecture) facts.architecture = architecture_in(*files);
  facts.cloud_init = cloud_init_reads_seed(*files);
  facts.kernels = kernels_in(*files);
  for (const std::string_view path : kOsRelease) {
    const auto text = files->read(path, 64_KiB);
    if (!text) continue;
    facts.os_release = parse_os_release(as_text(*text));
    return;
  }
}

}  // namespace stampede::volume
