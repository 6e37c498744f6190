#include "src/volume/probe.h"
#include "src/base/text.h"

#include <blkid/blkid.h>

#include <algorithm>
#include <array>
#include <memory>

#include "src/volume/gpt_header.h"
#include "src/volume/text.h"

namespace stampede::volume {

namespace {

struct FreeProbe {
  void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, FreeProbe>;

// Without effect on the file's position that anybody could rely on: libblkid seeks. Null if libblkid does not want the
// range.
Probe probe_over(const File& disk, Offset offset, Size length) {
  Probe probe(blkid_new_probe());
  if (!probe || length.bytes == 0) return nullptr;
  if (blkid_probe_set_device(probe.get(), disk.fd(), static_cast<blkid_loff_t>(offset.bytes),
                             static_cast<blkid_loff_t>(length.bytes)) != 0)
    return nullptr;
  return probe;
}

std::string value(blkid_probe probe, const char* name) {
  const char* data = nullptr;
  if (blkid_probe_lookup_value(probe, name, &data, nullptr) != 0 || data == nullptr) return {};
  return printable(data);
}

std::string lower(const char* text) {
  std::string out = text == nullptr ? "" : printable(text);
  std::ranges::transform(out, out.begin(), stampede::lower);
  return out;
}

// libblkid reads the whole array of entries that a GPT header claims, up to 4 GiB: a claim far above any real one is
// refused.
bool claims_too_many_entries(const File& disk, Size size, std::uint32_t sector_size) {
  constexpr std::uint64_t kMostBytes = 4 << 20;
  if (size.bytes < std::uint64_t{sector_size} * 4) return false;
  for (const std::uint64_t at : {std::uint64_t{sector_size}, round_down(size.bytes, sector_size) - sector_size}) {
    std::array<std::byte, kGptHeaderSize> raw{};
    if (!disk.read_at({at}, raw)) continue;
    if (const auto header = decode_gpt_header(raw); header && header->entries_size > kMostBytes) return true;
  }
  return false;
}

PartitionFacts facts_of(blkid_partition partition, bool gpt) {
  PartitionFacts out;
  out.number = static_cast<unsigned>(std::max(blkid_partition_get_partno(partition), 0));
  out.offset = {static_cast<std::uint64_t>(blkid_partition_get_start(partition)) * 512};
  out.length = {static_cast<std::uint64_t>(blkid_partition_get_size(partition)) * 512};
  out.flags = blkid_partition_get_flags(partition);
  if (!gpt) {
    out.flags = (out.flags & 0x80) != 0 ? 1 : 0;  // libblkid gives the boot indicator's byte
    out.type = fmt::format("0x{:02x}", blkid_partition_get_type(partition));
    return out;
  }
  out.type = lower(blkid_partition_get_type_string(partition));
  out.guid = lower(blkid_partition_get_uuid(partition));
  if (const char* name = blkid_partition_get_name(partition); name != nullptr) out.name = printable(name);
  return out;
}

}  // namespace

std::optional<Table> find_table(const File& disk, Size size, std::uint32_t sector_size, bool lone_backup) {
  if (claims_too_many_entries(disk, size, sector_size)) return std::nullopt;
  const Probe probe = probe_over(disk, {}, size);
  if (!probe || blkid_probe_set_sectorsize(probe.get(), sector_size) != 0) return std::nullopt;
  std::array<char, 4> gpt_name{"gpt"}, dos_name{"dos"};
  std::array<char*, 3> kinds{gpt_name.data(), dos_name.data(), nullptr};
  blkid_probe_enable_partitions(probe.get(), 1);
  blkid_probe_filter_partitions_type(probe.get(), BLKID_FLTR_ONLYIN, kinds.data());
  if (lone_backup) blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_FORCE_GPT);
  blkid_partlist list = blkid_probe_get_partitions(probe.get());
  blkid_parttable table = list == nullptr ? nullptr : blkid_partlist_get_table(list);
  if (table == nullptr) return std::nullopt;

  Table out{.kind = lower(blkid_parttable_get_type(table)),
            .id = lower(blkid_parttable_get_id(table)),
            .sector_size = sector_size,
            .partitions = {}};
  const int count = blkid_partlist_numof_partitions(list);
  for (int i = 0; i < count; ++i) {
    blkid_partition partition = blkid_partlist_get_partition(list, i);
    if (partition == nullptr || blkid_partition_get_size(partition) <= 0 || blkid_partition_get_start(partition) < 0)
      continue;
    // Slices of a BSD label and the like, inside a partition, are that partition's own affair.
    if (lower(blkid_parttable_get_type(blkid_partition_get_table(partition))) != out.kind) continue;
    out.partitions.push_back(facts_of(partition, out.kind == "gpt"));
  }
  return out;
}

std::optional<Table> find_table(const File& disk, Size size, bool lone_backup) {
  std::uint32_t native = 512;
  if (const Probe probe = probe_over(disk, {}, size); probe) native = blkid_probe_get_sectorsize(probe.get());
  std::optional<Table> best;
  for (const std::uint32_t sector_size : {native, 512U, 4096U}) {
    auto table = find_table(disk, size, sector_size, lone_backup);
    if (table && table->kind == "gpt") return table;
    if (table && !table->partitions.empty() && !best) best = std::move(table);
  }
  return best;
}

Signature find_signature(const File& disk, Offset offset, Size length) {
  const Probe probe = probe_over(disk, offset, length);
  if (!probe) return {};
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(),
                                    BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
  if (blkid_do_safeprobe(probe.get()) != 0) return {};
  return {.type = value(probe.get(), "TYPE"),
          .usage = value(probe.get(), "USAGE"),
          .label = value(probe.get(), "LABEL"),
          .uuid = value(probe.get(), "UUID")};
}

Result<std::vector<Signature>> find_all_signatures(const File& disk, Size size) {
  std::vector<Signature> out;
  if (size.bytes == 0) return out;
  const Probe probe = probe_over(disk, {}, size);
  if (!probe) return fail(Code::read_failed, "cannot probe {}", disk.name());
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(
      probe.get(), BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_BADCSUM);
  blkid_probe_enable_partitions(probe.get(), 1);
  blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_FORCE_GPT);
  constexpr std::size_t kMost = 64;  // a prober that finds itself again for ever
  while (out.size() < kMost) {
    const int found = blkid_do_probe(probe.get());
    if (found == 1) break;
    if (found < 0) return fail(Code::read_failed, "cannot probe {}", disk.name());
    Signature one{.type = value(probe.get(), "TYPE"),
                  .usage = value(probe.get(), "USAGE"),
                  .label = value(probe.get(), "LABEL"),
                  .uuid = value(probe.get(), "UUID")};
    if (one.type.empty() && blkid_probe_has_value(probe.get(), "PTTYPE") != 0) {
      one.type = value(probe.get(), "PTTYPE");
      one.usage = "table";
      one.uuid = value(probe.get(), "PTUUID");
    }
    if (!one.type.empty()) out.push_back(std::move(one));
  }
  return out;
}

}  // namespace stampede::volume
