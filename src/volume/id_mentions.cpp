#include "src/volume/id_mentions.h"

#include <algorithm>
#include <array>
#include <functional>

#include "src/unpack/stream.h"
#include "src/volume/ext4.h"
#include "src/volume/fat.h"
#include "src/volume/packed.h"
#include "src/volume/text.h"

namespace stampede::volume {

namespace {

constexpr Size kMostFile = 256_MiB;  // that is looked through when an image is packaged
constexpr Size kMostText = 4_MiB;    // that is edited on a target, which has no memory for more
constexpr std::size_t kMostFiles = 50000, kDeepest = 12;
constexpr std::array<std::string_view, 6> kFolders{"/etc", "/boot", "/grub", "/loader", "/extlinux", "/EFI"};

// A file system that is looked through.
struct Place {
  unsigned partition = 0;
  std::string filesystem;
  Offset offset;
  Size length;
  bool root = false;
  std::string name(std::string_view path) const {
    return root ? std::string(path) : fmt::format("partition {}: {}", partition, path);
  }
};

std::vector<Place> places(const ImageFacts& facts) {
  std::vector<Place> out;
  const auto wanted = [](std::string_view type) { return is_ext(type) || type == "vfat"; };
  for (const PartitionFacts& p : facts.partitions)
    if (wanted(p.filesystem))
      out.push_back({p.number, p.filesystem, p.offset, p.length, facts.root && facts.root->partition == p.number});
  return out;
}

enum class Mention { none, text, fixed };
enum class Use { look, edit, read_back };

Result<Mention> look(std::string_view path, ByteView content, const NewIds& ids) {
  if (is_packed(content)) {
    STAMPEDE_TRY(const bool found, packed_mentions(content, ids));
    return found ? Mention::fixed : Mention::none;
  }
  if (!mentions(content, ids)) return Mention::none;
  const bool binary = std::ranges::find(content, std::byte{0}) != content.end();
  const bool built_in = path.ends_with("/i386-pc/load.cfg");  // and what it is built into is compressed
  return binary || built_in || content.size() > kMostText.bytes ? Mention::fixed : Mention::text;
}

// Calls each(path, content or error, overwrite(bytes)) for every file; an error of `each` ends it.
using FileContent = Result<Bytes>;
using Overwrite = std::function<Result<>(ByteView)>;
using Each = std::function<Result<>(const std::string& path, FileContent content, const Overwrite& overwrite)>;

// On a target (`small`) what is too large for a text that can be edited is passed over: packaging has looked.
Result<> walk_folder(Ext4& files, const std::string& folder, bool deep, bool small, std::size_t& count, const Each& each) {
  STAMPEDE_TRY(const auto names, files.list(folder.empty() ? "/" : folder));
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}", folder, name);
    STAMPEDE_TRY(const Ext4::Kind kind, files.kind(path));
    if (++count > kMostFiles) return fail(Code::cannot_customise, "it holds more than {} files", kMostFiles);
    if (kind == Ext4::Kind::folder && deep && std::ranges::count(path, '/') <= static_cast<std::ptrdiff_t>(kDeepest))
      STAMPEDE_CHECK(walk_folder(files, path, deep, small, count, each));
    if (kind != Ext4::Kind::file) continue;
    STAMPEDE_TRY(const Size size, files.size(path));
    if (small && size > kMostText) continue;
    STAMPEDE_CHECK(each(path, files.read(path, kMostFile), [&](ByteView bytes) { return files.overwrite(path, bytes); }));
  }
  return {};
}

Result<> walk_ext4(BlockAccess& blocks, const Place& place, Use use, const Each& each) {
  STAMPEDE_TRY(Ext4 files, Ext4::open(blocks, place.offset, true));
  std::size_t count = 0;
  STAMPEDE_CHECK(walk_folder(files, "", false, use != Use::look, count, each));
  for (const std::string_view folder : kFolders) {
    STAMPEDE_TRY(const Ext4::Kind kind, files.kind(folder));
    if (kind == Ext4::Kind::folder)
      STAMPEDE_CHECK(walk_folder(files, std::string(folder), true, use != Use::look, count, each));
  }
  return use == Use::edit ? files.close() : Result<>{};
}

Result<> walk_fat(BlockAccess& blocks, const Place& place, Use use, const Each& each) {
  STAMPEDE_TRY(Fat fat, Fat::open(blocks, place.offset, place.length));
  STAMPEDE_TRY(const auto files, fat.files());
  for (const Fat::Entry& file : files) {
    if (use != Use::look && file.size > kMostText) continue;
    STAMPEDE_CHECK(each(file.path, fat.read(file, kMostFile), [&](ByteView bytes) { return fat.overwrite(file, bytes); }));
  }
  return use == Use::edit ? blocks.flush() : Result<>{};
}

Result<> walk(BlockAccess& blocks, const Place& place, Use use, const Each& each) {
  auto done = is_ext(place.filesystem) ? walk_ext4(blocks, place, use, each) : walk_fat(blocks, place, use, each);
  if (!done) return pass(std::move(done).error(), fmt::format("partition {}", place.partition));
  return done;
}

}  // namespace

Result<std::vector<std::string>> reasons_to_keep_ids(BlockAccess& blocks, const ImageFacts& facts) {
  STAMPEDE_CHECK(unpack::usable());  // or what cannot be unpacked here would be a reason for ever
  SeededRandom random(1);            // for what there is to look for
  const NewIds ids = fresh_ids(facts, random);
  std::vector<std::string> out;
  const auto add = [&](std::string reason) {
    if (out.size() < kMostReasons) out.push_back(printable(reason.substr(0, kMostReason)));
  };
  for (const Place& place : places(facts)) {
    const auto done =
        walk(blocks, place, Use::look, [&](const std::string& path, const FileContent& content, const auto&) -> Result<> {
          if (!content) {
            add(fmt::format("{} of partition {} cannot be read ({})", path, place.partition, content.error().message));
            return {};
          }
          const auto mention = look(path, *content, ids);
          if (!mention)
            add(fmt::format("{} of partition {} cannot be looked through ({})", path, place.partition,
                            mention.error().message));
          else if (*mention == Mention::fixed)
            add(fmt::format("{} of partition {}, which cannot be edited, mentions one", path, place.partition));
          return {};
        });
    if (!done) add(done.error().message);
  }
  return out;
}

Result<std::vector<std::string>> replace_ids(BlockAccess& blocks, const ImageFacts& facts, const NewIds& ids) {
  std::vector<std::string> changed;
  for (const Place& place : places(facts)) {
    const auto replace = [&](const std::string& path, const FileContent& content, const Overwrite& overwrite) -> Result<> {
      if (!content) return std::unexpected(content.error());
      STAMPEDE_TRY(const Mention mention, look(path, *content, ids));
      if (mention == Mention::none) return {};
      if (mention == Mention::fixed) return fail(Code::cannot_customise, "{} mentions an id and cannot be edited", path);
      changed.push_back(place.name(path));
      return overwrite(as_bytes(with_new_ids(std::string(as_text(*content)), ids)));
    };
    const auto read_back = [&](const std::string& path, const FileContent& content, const auto&) -> Result<> {
      if (!content) return std::unexpected(content.error());
      if (!mentions(*content, ids)) return {};
      return fail(Code::readback_mismatch, "{} does not hold what was written", path);
    };
    STAMPEDE_CHECK(walk(blocks, place, Use::edit, replace));
    STAMPEDE_CHECK(walk(blocks, place, Use::read_back, read_back));
  }
  return changed;
}

}  // namespace stampede::volume
