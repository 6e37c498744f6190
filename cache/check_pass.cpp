#include "cache/check_pass.h"

#include <algorithm>

#include "chunker/xxh3.h"

namespace stampede::cache {
namespace {

constexpr std::string_view kMagic = "STMPPASS";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHead = 24, kEntry = 72, kSum = 8;
constexpr std::uint64_t kDamaged = std::uint64_t{1} << 63;
// A million packs, 512 TiB.
constexpr Size kMost{kHead + kEntry * (std::uint64_t{1} << 20) + kSum};

chunker::Sha256 key_of(const std::filesystem::path& pack) {
  chunker::Sha256 key{};
  if (const auto bytes = from_hex(pack.stem().string()); bytes && bytes->size() == key.size())
    std::ranges::copy(*bytes, key.begin());
  return key;
}

// What an inode, a size and times say; the device's number may be another after a restart.
bool is_same(const FileStamp& a, const FileStamp& b) {
  return a.inode == b.inode && a.size == b.size && a.modified == b.modified && a.changed == b.changed;
}

}  // namespace

CheckPass CheckPass::load(const std::filesystem::path& file, UnixTime now) {
  const auto bytes = read_file(file, kMost);
  if (!bytes) return CheckPass(now);
  auto pass = decode(*bytes);
  return pass ? *std::move(pass) : CheckPass(now);
}

Result<CheckPass> CheckPass::decode(ByteView bytes) {
  const auto bad = [] { return fail(Code::content_altered, "no sound state of a check"); };
  if (bytes.size() < kHead + kSum || (bytes.size() - kHead - kSum) % kEntry != 0) return bad();
  if (load_le<std::uint64_t>(bytes.last(kSum)) != chunker::xxh3_64(bytes.first(bytes.size() - kSum))) return bad();
  ByteReader in(bytes.first(bytes.size() - kSum));
  if (as_text(in.view(kMagic.size())) != kMagic || in.u16() != kVersion || !all_zero(in.view(6))) return bad();
  CheckPass pass(static_cast<UnixTime>(in.u64()));
  while (in.left() > 0) {
    const chunker::Sha256 key = in.array<32>();
    Read read;
    read.stamp.inode = in.u64();
    read.stamp.size = in.u64();
    read.stamp.modified = static_cast<std::int64_t>(in.u64());
    read.stamp.changed = static_cast<std::int64_t>(in.u64());
    const std::uint64_t end = in.u64();
    read.end = {end & ~kDamaged};
    read.sound = (end & kDamaged) == 0;
    if (!pass.read_.empty() && pass.read_.rbegin()->first >= key) return bad();
    pass.read_.emplace_hint(pass.read_.end(), key, read);
  }
  return pass;
}

Bytes CheckPass::encode() const {
  ByteWriter out(kHead + read_.size() * kEntry + kSum);
  out.raw(as_bytes(kMagic)).u16(kVersion).raw(std::array<std::byte, 6>{}).u64(static_cast<std::uint64_t>(began_));
  for (const auto& [key, read] : read_) {
    out.raw(key).u64(read.stamp.inode).u64(read.stamp.size);
    out.u64(static_cast<std::uint64_t>(read.stamp.modified)).u64(static_cast<std::uint64_t>(read.stamp.changed));
    out.u64(read.end.bytes | (read.sound ? 0 : kDamaged));
  }
  const std::uint64_t sum = chunker::xxh3_64(out.bytes());
  return out.u64(sum).take();
}

Offset CheckPass::begin_of(const Pack& pack) const {
  const auto found = read_.find(key_of(pack.name()));
  if (found == read_.end() || !found->second.sound || !is_same(found->second.stamp, pack.stamp())) return {kPackHead};
  return found->second.end;
}

bool CheckPass::is_sound(const Pack& pack) const {
  const auto found = read_.find(key_of(pack.name()));
  return found == read_.end() || found->second.sound;
}

void CheckPass::note(const Pack& pack, Offset end, bool sound) { read_[key_of(pack.name())] = {pack.stamp(), end, sound}; }

void CheckPass::restart(UnixTime now) {
  began_ = now;
  std::erase_if(read_, [](const auto& entry) { return entry.second.sound; });
}

void CheckPass::keep_only(const std::vector<std::filesystem::path>& packs) {
  std::erase_if(read_, [&](const auto& entry) {
    const std::string name = to_hex(entry.first);
    const auto at = std::ranges::lower_bound(packs, name, {}, [](const auto& path) { return path.stem().string(); });
    return at == packs.end() || at->stem().string() != name;
  });
}

}  // namespace stampede::cache
