#include "src/volume/inspect.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "src/volume/id_mentions.h"
#include "src/volume/probe.h"
#include "src/volume/root.h"

namespace stampede::volume {

namespace {

constexpr std::string_view kEspGuid = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", kEspMbr = "0xef";
constexpr std::string_view kBiosBootGuid = "21686148-6449-6e6f-744e-656564454649";
constexpr std::string_view kExtended[] = {"0x05", "0x0f", "0x85"};

void name_filesystem(const File& disk, PartitionFacts& partition) {
  if (is_extended(partition.type)) return;
  Signature found = find_signature(disk, partition.offset, partition.length);
  partition.filesystem = std::move(found.type);
  partition.label = std::move(found.label);
  partition.uuid = std::move(found.uuid);
}

// 440 bytes of code and 55 AA at the end of the first sector.
bool has_boot_code(const File& disk) {
  std::array<std::byte, 512> sector{};
  if (!disk.read_at({}, sector)) return false;
  return load_le<std::uint16_t>(ByteView(sector).subspan(510)) == 0xaa55 && !all_zero(ByteView(sector).first(440));
}

std::vector<std::string> firmware_of(const File& disk, const std::vector<PartitionFacts>& partitions) {
  const auto has_type = [&](std::string_view type) {
    return std::ranges::find(partitions, type, &PartitionFacts::type) != partitions.end();
  };
  std::vector<std::string> out;
  if (has_type(kBiosBootGuid) || has_boot_code(disk)) out.emplace_back("bios");
  if (has_type(kEspGuid) || has_type(kEspMbr)) out.emplace_back("uefi");
  return out;
}

// libblkid does not tell a disk that cannot be read from one that holds nothing.
Result<> first_bytes_are_readable(const File& disk, Size size) {
  Bytes start(std::min<std::uint64_t>(size.bytes, 4096));
  return disk.read_at({}, start);
}

// The root of a disk without a table is one file system from the first byte to the last, which find_root() knows as a
// partition without a number.
std::optional<RootFacts> root_without_table(BlockAccess& blocks, const File& disk, Size size) {
  PartitionFacts whole;
  whole.length = size;
  name_filesystem(disk, whole);
  ImageFacts facts;
  facts.partitions.push_back(std::move(whole));
  return find_root(blocks, facts);
}

}  // namespace

bool is_extended(std::string_view type) { return std::ranges::find(kExtended, type) != std::end(kExtended); }

Result<ImageFacts> inspect(const std::filesystem::path& path, bool ids) {
  // Judged before it is opened: opening a pipe waits for its other end.
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::is_regular_file(status) && !std::filesystem::is_block_file(status))
    return fail(Code::usage, "{} is not a disk image or a block device", path.string());
  STAMPEDE_TRY(const File disk, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const Size size, disk.size());
  STAMPEDE_CHECK(first_bytes_are_readable(disk, size));
  STAMPEDE_TRY(const auto blocks, open_blocks(path, false));
  ImageFacts facts;
  if (auto table = find_table(disk, size, false); table) {
    facts.table = std::move(table->kind);
    facts.disk_guid = std::move(table->id);
    facts.sector_size = table->sector_size;
    facts.partitions = std::move(table->partitions);
    for (PartitionFacts& partition : facts.partitions) name_filesystem(disk, partition);
    facts.root = find_root(*blocks, facts);
  } else {
    facts.root = root_without_table(*blocks, disk, size);
  }
  facts.firmware = firmware_of(disk, facts.partitions);
  if (facts.root) look_into_root(*blocks, facts);
  if (ids) {
    STAMPEDE_TRY(facts.fixed_ids, reasons_to_keep_ids(*blocks, facts));
  }
  return facts;
}

Result<std::vector<std::string>> find_fixed_ids(const std::filesystem::path& path, const ImageFacts& facts) {
  STAMPEDE_TRY(const auto blocks, open_blocks(path, false));
  return reasons_to_keep_ids(*blocks, facts);
}

}  // namespace stampede::volume
