#include "src/volume/ext4.h"

#include "src/volume/file_system.h"

namespace stampede::volume {

namespace {

// A folder and a name in it.
struct Place {
  ext2_ino_t folder = EXT2_ROOT_INO;
  std::string name;
};

Result<std::vector<std::string>> split(std::string_view path) {
  if (!path.starts_with('/') || path.find('\0') != path.npos) return fail(Code::usage, "'{}' is not an absolute path", path);
  std::vector<std::string> out;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    if (part == "." || part == "..") return fail(Code::usage, "a path to edit has no '{}'", part);
    if (part.size() > EXT2_NAME_LEN) return fail(Code::usage, "'{}' is longer than {} bytes", part, EXT2_NAME_LEN);
    if (!part.empty()) out.emplace_back(part);
  }
  if (out.empty()) return fail(Code::usage, "the root folder is not a file");
  return out;
}

// The folder that the last part of `path` is in; nothing if a folder is missing and none is to be made.
Result<std::optional<Place>> place_of(FileSystem& files, std::string_view path, bool make) {
  STAMPEDE_TRY(auto parts, split(path));
  Place out{.name = std::move(parts.back())};
  parts.pop_back();
  for (const std::string& part : parts) {
    STAMPEDE_TRY(ext2_ino_t next, files.followed(out.folder, part));
    if (next == 0 && !make) return std::nullopt;
    if (next == 0) {
      STAMPEDE_TRY(const ext2_ino_t link, files.entry(out.folder, part));
      if (link != 0) return fail(Code::cannot_customise, "'{}' is a symbolic link to nowhere", part);
      STAMPEDE_TRY(next, files.make_folder(out.folder, part));
    }
    out.folder = next;
  }
  return out;
}

Result<> write_at(FileSystem& files, const Place& place, ByteView content, unsigned mode) {
  STAMPEDE_TRY(const ext2_ino_t entry, files.entry(place.folder, place.name));
  ext2_ino_t file = 0;
  if (entry != 0) {
    STAMPEDE_TRY(file, files.followed(place.folder, place.name));
    if (file == 0) STAMPEDE_CHECK(files.unlink(place.folder, place.name, entry));
  }
  if (file == 0) {
    STAMPEDE_TRY(file, files.make_file(place.folder, place.name));
  }
  return files.replace_content(file, content, mode);
}

Result<> remove_at(FileSystem& files, std::string_view path, bool erase) {
  STAMPEDE_TRY(const std::optional<Place> place, place_of(files, path, false));
  if (!place) return {};
  STAMPEDE_TRY(const ext2_ino_t entry, files.entry(place->folder, place->name));
  if (entry == 0) return {};
  return erase ? files.erase(place->folder, place->name, entry) : files.unlink(place->folder, place->name, entry);
}

Result<Ext4::Kind> kind_at(FileSystem& files, std::string_view path) {
  STAMPEDE_TRY(const std::optional<Place> place, place_of(files, path, false));
  if (!place) return Ext4::Kind::none;
  STAMPEDE_TRY(const ext2_ino_t entry, files.entry(place->folder, place->name));
  if (entry == 0) return Ext4::Kind::none;
  STAMPEDE_TRY(const ext2_inode_large node, files.inode(entry));
  if (LINUX_S_ISREG(node.i_mode)) return Ext4::Kind::file;
  if (LINUX_S_ISDIR(node.i_mode)) return Ext4::Kind::folder;
  return LINUX_S_ISLNK(node.i_mode) ? Ext4::Kind::link : Ext4::Kind::other;
}

}  // namespace

Ext4::Ext4(std::unique_ptr<State> state) : state_(std::move(state)) {}
Ext4::Ext4(Ext4&&) noexcept = default;
Ext4& Ext4::operator=(Ext4&&) noexcept = default;
Ext4::~Ext4() = default;

Result<Ext4> Ext4::open(BlockAccess& blocks, Offset offset, bool writable) {
  STAMPEDE_TRY(auto files, FileSystem::open(blocks, offset, writable ? FileSystem::Use::edit : FileSystem::Use::read));
  return Ext4(std::make_unique<State>(std::move(files)));
}

Result<Ext4> Ext4::look(BlockAccess& blocks, Offset offset) {
  STAMPEDE_TRY(auto files, FileSystem::open(blocks, offset, FileSystem::Use::look));
  return Ext4(std::make_unique<State>(std::move(files)));
}

bool Ext4::exists(std::string_view path) const {
  state_->files->begin();
  return state_->files->find(path).has_value();
}

Result<Ext4::Kind> Ext4::kind(std::string_view path) const {
  state_->files->begin();
  auto out = kind_at(*state_->files, path);
  if (!out) return pass(std::move(out).error(), path);
  return out;
}

Result<Size> Ext4::size(std::string_view path) const {
  state_->files->begin();
  STAMPEDE_TRY(const ext2_ino_t file, state_->files->find(path));
  STAMPEDE_TRY(const ext2_inode_large node, state_->files->inode(file));
  return Size{EXT2_I_SIZE(&node)};
}

Result<Bytes> Ext4::read(std::string_view path, Size limit) const {
  state_->files->begin();
  STAMPEDE_TRY(const ext2_ino_t file, state_->files->find(path));
  auto out = state_->files->content(file, limit);
  if (!out) return pass(std::move(out).error(), fmt::format("reading {}", path));
  return out;
}

Result<std::vector<std::string>> Ext4::list(std::string_view path) const {
  state_->files->begin();
  STAMPEDE_TRY(const ext2_ino_t folder, state_->files->find(path));
  auto out = state_->files->names(folder);
  if (!out) return pass(std::move(out).error(), fmt::format("listing {}", path));
  return out;
}

Result<std::vector<Range>> Ext4::used() const {
  state_->files->begin();
  return state_->files->used();
}

Result<std::vector<Range>> Ext4::unused() const {
  state_->files->begin();
  return state_->files->unused();
}

Result<std::vector<Range>> Ext4::idle() const {
  state_->files->begin();
  return state_->files->idle();
}

Result<std::vector<Owner>> Ext4::owners(std::span<const Range> ranges) const {
  state_->files->begin();
  return state_->files->owners(ranges);
}

std::int64_t Ext4::last_mounted() const { return state_->files->last_mounted(); }

void Ext4::keep_time() { state_->files->keep_time(); }

Result<> Ext4::write(std::string_view path, ByteView content, unsigned mode) {
  state_->files->begin();
  auto done = [&]() -> Result<> {
    STAMPEDE_TRY(const std::optional<Place> place, place_of(*state_->files, path, true));
    return write_at(*state_->files, *place, content, mode);
  }();
  if (!done) return pass(std::move(done).error(), fmt::format("writing {}", path));
  return {};
}

Result<> Ext4::overwrite(std::string_view path, ByteView content) {
  state_->files->begin();
  STAMPEDE_TRY(const ext2_ino_t file, state_->files->find(path));
  auto done = state_->files->overwrite(file, content);
  if (!done) return pass(std::move(done).error(), fmt::format("writing {}", path));
  return done;
}

Result<> Ext4::remove(std::string_view path) {
  state_->files->begin();
  auto done = remove_at(*state_->files, path, false);
  if (!done) return pass(std::move(done).error(), fmt::format("removing {}", path));
  return {};
}

Result<> Ext4::erase(std::string_view path) {
  state_->files->begin();
  auto done = remove_at(*state_->files, path, true);
  if (!done) return pass(std::move(done).error(), fmt::format("removing {}", path));
  return {};
}

Result<> Ext4::clear(std::string_view folder) {
  state_->files->begin();
  STAMPEDE_TRY(const ext2_ino_t number, state_->files->find(folder));
  auto done = state_->files->clear(number);
  if (!done) return pass(std::move(done).error(), fmt::format("removing what {} holds", folder));
  return {};
}

Result<> Ext4::rewrite(std::string_view path, ByteView content) {
  state_->files->begin();
  STAMPEDE_TRY(const ext2_ino_t file, state_->files->find(path));
  auto done = state_->files->zero_content(file);
  if (done) done = state_->files->replace_content(file, content, std::nullopt);
  if (!done) return pass(std::move(done).error(), fmt::format("writing {}", path));
  return {};
}

Result<> Ext4::close() { return state_->files->close(); }

}  // namespace stampede::volume
