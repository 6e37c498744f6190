#include "src/volume/fat.h"

#include <algorithm>
#include <array>

namespace stampede::volume {

namespace {

constexpr Size kMostTable = 16_MiB, kMostFolder = 256_KiB;
constexpr std::size_t kMostFiles = 10000, kDeepest = 8, kMostFolders = 1000;
constexpr std::size_t kEntry = 32;
constexpr unsigned kVolume = 0x08, kFolder = 0x10, kLongName = 0x0f;
constexpr std::byte kFree{0xe5};
constexpr std::uint32_t kMostFat12 = 4085, kMostFat16 = 65525;

std::unexpected<Error> damaged() { return fail(Code::read_failed, "the FAT file system is damaged"); }

// "GRUB    CFG" is GRUB.CFG.
std::string name_of(std::string_view raw) {
  const auto trimmed = [](std::string_view part) { return std::string(part.substr(0, part.find_last_not_of(' ') + 1)); };
  const std::string extension = trimmed(raw.substr(8, 3));
  return trimmed(raw.substr(0, 8)) + (extension.empty() ? "" : "." + extension);
}

}  // namespace

Result<Fat> Fat::open(BlockAccess& blocks, Offset at, Size length) {
  std::array<std::byte, 512> boot{};
  if (length.bytes < boot.size()) return damaged();
  STAMPEDE_CHECK(blocks.read(at, boot));
  const auto u8 = [&](std::size_t i) { return static_cast<std::uint32_t>(boot[i]); };
  const auto u16 = [&](std::size_t i) { return std::uint64_t{load_le<std::uint16_t>(ByteView(boot).subspan(i))}; };
  const auto u32 = [&](std::size_t i) { return std::uint64_t{load_le<std::uint32_t>(ByteView(boot).subspan(i))}; };
  const std::uint64_t sector = u16(11), reserved = u16(14), entries = u16(17);
  const std::uint64_t sectors = u16(19) != 0 ? u16(19) : u32(32), table = u16(22) != 0 ? u16(22) : u32(36);
  if (u16(510) != 0xaa55 || sector < 512 || sector > 4096 || !std::has_single_bit(sector) || u8(13) == 0 || u8(16) == 0)
    return damaged();
  const std::uint64_t root = reserved + u8(16) * table;
  const std::uint64_t data = root + round_up(entries * kEntry, sector) / sector;
  if (data >= sectors || sectors > length.bytes / sector || table * sector > kMostTable.bytes) return damaged();

  Fat out(blocks);
  out.cluster_ = {u8(13) * sector};
  out.clusters_ = static_cast<std::uint32_t>((sectors - data) / u8(13));
  out.bits_ = out.clusters_ < kMostFat12 ? 12 : out.clusters_ < kMostFat16 ? 16 : 32;
  out.data_ = at + Size{data * sector};
  out.root_ = {at + Size{root * sector}, {entries * kEntry}};
  if (out.bits_ == 32) out.root_cluster_ = static_cast<std::uint32_t>(u32(44));
  if (out.bits_ == 32 && u16(48) > 0 && u16(48) < reserved) out.info_ = at + Size{u16(48) * sector};
  out.table_at_ = at + Size{reserved * sector};
  out.copies_ = u8(16);
  out.dirty_ = (u8(out.bits_ == 32 ? 65 : 37) & 1) != 0;
  out.table_.resize(table * sector);
  if (out.table_.size() * 8 < (std::uint64_t{out.clusters_} + 2) * out.bits_) return damaged();
  STAMPEDE_CHECK(blocks.read(out.table_at_, out.table_));
  return out;
}

std::uint32_t Fat::next(std::uint32_t cluster) const {
  const ByteView at = ByteView(table_).subspan(std::size_t{cluster} * bits_ / 8);
  if (bits_ == 32) return load_le<std::uint32_t>(at) & 0x0fff'ffff;
  if (bits_ == 16) return load_le<std::uint16_t>(at);
  const std::uint32_t pair = load_le<std::uint16_t>(at);
  return cluster % 2 == 0 ? pair & 0xfff : pair >> 4;
}

Result<std::vector<Range>> Fat::unused() const {
  // The entry of cluster 1 has a bit for a proper end, and one for no errors.
  const std::uint32_t sound = bits_ == 32 ? 0x0c00'0000 : bits_ == 16 ? 0xc000 : 0;
  if (dirty_ || (next(1) & sound) != sound) return fail(Code::cannot_customise, "it was not unmounted, or has had errors");
  Bytes copy(table_.size());
  for (unsigned i = 1; i < copies_; ++i) {
    STAMPEDE_CHECK(blocks_->read(table_at_ + Size{table_.size()} * i, copy));
    if (copy != table_) return fail(Code::cannot_customise, "the copies of its table differ");
  }
  std::vector<Range> out;
  for (std::uint32_t cluster = 2; cluster < clusters_ + 2; ++cluster) {
    if (next(cluster) != 0) continue;
    const Offset at = data_ + cluster_ * (cluster - 2);
    if (!out.empty() && out.back().end() == at)
      out.back().length += cluster_;
    else
      out.push_back({at, cluster_});
  }
  return out;
}

Result<std::vector<Fat::Run>> Fat::runs(std::uint32_t cluster, Size size) const {
  std::vector<Run> out;
  std::uint64_t have = 0;
  for (std::uint32_t count = 0; have < size.bytes && cluster >= 2 && cluster < clusters_ + 2; ++count) {
    if (count > clusters_) return damaged();  // in circles
    const Offset at = data_ + cluster_ * (cluster - 2);
    const Size part{std::min(cluster_.bytes, size.bytes - have)};
    if (!out.empty() && out.back().at + out.back().length == at)
      out.back().length += part;
    else
      out.push_back({at, part});
    have += part.bytes;
    cluster = next(cluster);
  }
  return out;
}

Result<Bytes> Fat::read_chain(std::uint32_t cluster, Size most) const {
  STAMPEDE_TRY(const auto parts, runs(cluster, most));
  Bytes out;
  for (const Run& run : parts) {
    out.resize(out.size() + run.length.bytes);
    STAMPEDE_CHECK(blocks_->read(run.at, MutableBytes(out).last(run.length.bytes)));
  }
  return out;
}

Result<> Fat::add_folder(ByteView raw, const std::vector<Run>& where, const std::string& path,
                         std::vector<Entry>& out) const {
  std::vector<Offset> slots;
  std::size_t run = 0;
  Size within;  // of the run
  for (; raw.size() >= kEntry && raw[0] != std::byte{0}; raw = raw.subspan(kEntry), within += Size{kEntry}) {
    if (run < where.size() && within >= where[run].length) {
      within = {};
      ++run;
    }
    if (run == where.size()) return damaged();
    const auto attributes = static_cast<unsigned>(raw[11]);
    const bool of_long_name = attributes == kLongName && raw[0] != kFree;
    if (!of_long_name && (raw[0] == kFree || raw[0] == std::byte{'.'} || (attributes & kVolume) != 0)) {
      slots.clear();
      continue;
    }
    slots.push_back(where[run].at + within);
    if (of_long_name) continue;
    const std::uint32_t high = bits_ == 32 ? load_le<std::uint16_t>(raw.subspan(20)) : 0;
    out.push_back({.path = path + "/" + name_of(as_text(raw.first(11))),
                   .cluster = high << 16 | load_le<std::uint16_t>(raw.subspan(26)),
                   .size = {load_le<std::uint32_t>(raw.subspan(28))},
                   .is_folder = (attributes & kFolder) != 0,
                   .slots = std::exchange(slots, {})});
    if (out.size() > kMostFiles) return fail(Code::read_failed, "the FAT file system holds more than {} files", kMostFiles);
  }
  return {};
}

Result<std::vector<Fat::Entry>> Fat::files() const {
  std::vector<Entry> out;
  Bytes root(root_.length.bytes);
  std::vector<Run> where{root_};
  if (bits_ == 32) {
    STAMPEDE_TRY(where, runs(root_cluster_, kMostFolder));
    STAMPEDE_TRY(root, read_chain(root_cluster_, kMostFolder));
  } else {
    STAMPEDE_CHECK(blocks_->read(root_.at, root));
  }
  STAMPEDE_CHECK(add_folder(root, where, "", out));
  std::size_t folders = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!out[i].is_folder) continue;
    const std::string path = out[i].path;
    if (++folders > kMostFolders || std::ranges::count(path, '/') > static_cast<std::ptrdiff_t>(kDeepest)) return damaged();
    STAMPEDE_TRY(where, runs(out[i].cluster, kMostFolder));
    STAMPEDE_TRY(const Bytes raw, read_chain(out[i].cluster, kMostFolder));
    STAMPEDE_CHECK(add_folder(raw, where, path, out));
  }
  std::erase_if(out, [](const Entry& entry) { return entry.is_folder; });
  return out;
}

Result<Bytes> Fat::read(const Entry& file, Size limit) const {
  if (file.size > limit) return fail(Code::read_failed, "{} is larger than {}", file.path, human_size(limit.bytes));
  STAMPEDE_TRY(Bytes out, read_chain(file.cluster, file.size));
  if (out.size() != file.size.bytes) return damaged();
  return out;
}

Result<> Fat::overwrite(const Entry& file, ByteView content) {
  if (content.size() != file.size.bytes) return fail(Code::internal, "{} would change its size", file.path);
  STAMPEDE_TRY(const auto parts, runs(file.cluster, file.size));
  for (const Run& run : parts) {
    STAMPEDE_CHECK(blocks_->write(run.at, content.first(std::min<std::size_t>(run.length.bytes, content.size()))));
    content = content.subspan(std::min<std::size_t>(run.length.bytes, content.size()));
  }
  return {};
}

}  // namespace stampede::volume
