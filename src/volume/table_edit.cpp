#include "src/volume/table_edit.h"
#include "src/base/text.h"

#include <libfdisk/libfdisk.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "src/volume/memory_disk.h"
#include "src/volume/old_backup.h"

namespace stampede::volume {

namespace {

constexpr Size kHead = 1_MiB, kTail = 64_KiB;
constexpr std::uint64_t kGrain = 4096;                  // a grown partition ends on a file system's block
constexpr std::uint64_t kMostMbrSectors = 0xffff'ffff;  // its fields have 32 bits

struct Free {
  void operator()(fdisk_context* context) const { fdisk_unref_context(context); }
  void operator()(fdisk_partition* partition) const { fdisk_unref_partition(partition); }
};
using Context = std::unique_ptr<fdisk_context, Free>;
using Partition = std::unique_ptr<fdisk_partition, Free>;

Result<> check(int code, std::string_view doing) {
  if (code == 0) return {};
  return fail(Code::cannot_customise, "{}: {}", doing, errno_text(-code));
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), stampede::lower);
  return text;
}

// As libfdisk wants an id: an MBR's is a number.
std::string id_text(const std::string& id) { return id.size() == 8 ? "0x" + id : id; }

class Editor {
 public:
  Editor(const MemoryDisk& disk, const TableEdit& edit) : edit_(edit), context_(fdisk_new_context()) {
    fdisk_save_user_sector_size(context_.get(), edit.sector_size, edit.sector_size);
    // An error here is a disk without a table that libfdisk could take.
    open_ = fdisk_assign_device_by_fd(context_.get(), disk.file().fd(), "disk", 0) == 0;
  }
  ~Editor() {
    if (open_) fdisk_deassign_device(context_.get(), 1);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  std::string kind() const {
    if (!open_) return {};
    if (fdisk_is_labeltype(context_.get(), FDISK_DISKLABEL_GPT) != 0) return "gpt";
    return fdisk_is_labeltype(context_.get(), FDISK_DISKLABEL_DOS) != 0 ? "dos" : "";
  }

  Result<std::optional<PartitionFacts>> grow() {
    STAMPEDE_TRY(const std::optional<std::size_t> last, last_number());
    if (!last) return std::nullopt;
    Partition partition = get(*last);
    const std::uint64_t sector = edit_.sector_size;
    const std::uint64_t start = fdisk_partition_get_start(partition.get());
    const std::uint64_t size = fdisk_partition_get_size(partition.get());
    const std::uint64_t end = round_down((fdisk_get_last_lba(context_.get()) + 1) * sector, kGrain) / sector;
    const std::uint64_t most = kind() == "dos" ? kMostMbrSectors : end;
    if (end <= start + size || std::min(end - start, most) <= size) return std::nullopt;
    const Partition wanted(fdisk_new_partition());
    fdisk_partition_set_start(wanted.get(), start);
    fdisk_partition_set_size(wanted.get(), std::min(end - start, most));
    fdisk_partition_size_explicit(wanted.get(), 1);
    STAMPEDE_CHECK(check(fdisk_set_partition(context_.get(), *last, wanted.get()), "growing the last partition"));
    partition = get(*last);  // as libfdisk has it
    return PartitionFacts{.number = static_cast<unsigned>(*last) + 1,
                          .offset = {start * sector},
                          .length = {fdisk_partition_get_size(partition.get()) * sector},
                          .type = {},
                          .guid = {},
                          .name = {},
                          .filesystem = {},
                          .label = {},
                          .uuid = {}};
  }

  Result<> change_ids() {
    char* text = nullptr;
    if (fdisk_get_disklabel_id(context_.get(), &text) == 0 && text != nullptr) {
      std::string id = lower(text);
      std::free(text);
      if (id.starts_with("0x")) id.erase(0, 2);
      if (const auto found = edit_.ids.find(id); found != edit_.ids.end())
        STAMPEDE_CHECK(check(fdisk_set_disklabel_id_from_string(context_.get(), id_text(found->second).c_str()),
                             "giving the disk a new id"));
    }
    for (std::size_t i = 0; kind() == "gpt" && i < fdisk_get_npartitions(context_.get()); ++i) {
      const Partition partition = get(i);
      const char* guid = partition ? fdisk_partition_get_uuid(partition.get()) : nullptr;
      const auto found = guid == nullptr ? edit_.ids.end() : edit_.ids.find(lower(guid));
      if (found == edit_.ids.end()) continue;
      const Partition wanted(fdisk_new_partition());
      STAMPEDE_CHECK(check(fdisk_partition_set_uuid(wanted.get(), found->second.c_str()), "a partition's GUID"));
      STAMPEDE_CHECK(check(fdisk_set_partition(context_.get(), i, wanted.get()), "giving a partition a new GUID"));
    }
    return {};
  }

  // In the copy. Not where nothing was asked for and libfdisk has nothing to mend.
  Result<> write() {
    if (fdisk_label_is_changed(fdisk_get_label(context_.get(), nullptr)) == 0) return {};
    return check(fdisk_write_disklabel(context_.get()), "writing the partition table");
  }

 private:
  Partition get(std::size_t number) const {
    fdisk_partition* out = nullptr;
    if (fdisk_is_partition_used(context_.get(), number) == 0) return nullptr;
    return Partition(fdisk_get_partition(context_.get(), number, &out) == 0 ? out : nullptr);
  }

  Result<std::optional<std::size_t>> last_number() const {
    std::optional<std::size_t> last;
    std::uint64_t last_end = 0;
    for (std::size_t i = 0; i < fdisk_get_npartitions(context_.get()); ++i) {
      const Partition partition = get(i);
      if (!partition || fdisk_partition_has_start(partition.get()) == 0 || fdisk_partition_has_size(partition.get()) == 0)
        continue;
      if (fdisk_partition_is_container(partition.get()) != 0 || fdisk_partition_is_nested(partition.get()) != 0)
        return fail(Code::cannot_customise, "a disk with an extended MBR partition cannot be grown");
      const std::uint64_t end = fdisk_partition_get_start(partition.get()) + fdisk_partition_get_size(partition.get());
      if (end <= last_end) continue;
      last_end = end;
      last = i;
    }
    return last;
  }

  const TableEdit& edit_;
  Context context_;
  bool open_ = false;
};

}  // namespace

Result<TableEdited> edit_table(BlockAccess& blocks, const TableEdit& edit) {
  STAMPEDE_TRY(MemoryDisk disk, MemoryDisk::make(blocks));
  const std::uint64_t size = blocks.size().bytes;
  const std::uint64_t tail = std::max(std::min(size, kHead.bytes), size - std::min(size, kTail.bytes));
  STAMPEDE_CHECK(disk.copy({}, kHead));
  STAMPEDE_CHECK(disk.copy({tail}, {size - tail}));
  STAMPEDE_TRY(const std::optional<OldBackup> old, find_old_backup(blocks, edit.sector_size));

  Editor editor(disk, edit);
  TableEdited out{.kind = editor.kind(), .moved = false, .grown = {}};
  if (out.kind.empty()) return out;
  STAMPEDE_CHECK(editor.change_ids());
  if (edit.grow_last) {
    STAMPEDE_TRY(out.grown, editor.grow());
  }
  // First the old backup goes, whose place may be that of the new one in part.
  out.moved = out.kind == "gpt" && old;
  if (out.moved) {
    STAMPEDE_CHECK(disk.zero(old->header, old->header_size));
    STAMPEDE_CHECK(disk.zero(old->entries, old->entries_size));
  }
  STAMPEDE_CHECK(editor.write());
  STAMPEDE_CHECK(disk.write_back());
  return out;
}

const PartitionFacts* last_partition(const ImageFacts& facts) {
  const auto last = std::ranges::max_element(facts.partitions, {},
                                             [](const PartitionFacts& p) { return p.offset.bytes + p.length.bytes; });
  return last == facts.partitions.end() ? nullptr : &*last;
}

Result<> check_growable(const ImageFacts& facts) {
  if (last_partition(facts) == nullptr)
    return fail(Code::cannot_customise, "the image has no partition that could be grown: deploy it without --grow");
  if (std::ranges::any_of(facts.partitions, [](const PartitionFacts& p) { return is_extended(p.type); }))
    return fail(Code::cannot_customise,
                "the image has an extended MBR partition, which cannot be grown: deploy it without --grow");
  return {};
}

}  // namespace stampede::volume
