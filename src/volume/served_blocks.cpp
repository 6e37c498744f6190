#include "src/volume/served_blocks.h"

#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "src/base/seams.h"

namespace stampede::volume {

namespace {

constexpr const char* kDevice = "/dev/fuse";

ServedBlocks& served(fuse_req_t request) { return *static_cast<ServedBlocks*>(fuse_req_userdata(request)); }

// Programs write blocks of 4 KiB one by one: the kernel gathers neighbours until they sync the file or close it.
void begin(void*, fuse_conn_info* connection) {
  connection->want |= connection->capable & static_cast<unsigned>(FUSE_CAP_WRITEBACK_CACHE);
}

// The kernel keeps the size that it saw first; the root's would be 0, so the file is one within a folder.
constexpr fuse_ino_t kFile = 2;
constexpr const char* kName = "disk";
constexpr double kForever = 1e6;  // seconds

struct stat attributes_of(const ServedBlocks& blocks, fuse_ino_t inode) {
  struct stat status{};
  status.st_ino = inode;
  status.st_mode = inode == kFile ? S_IFREG | 0600 : S_IFDIR | 0700;
  status.st_nlink = 1;
  if (inode != kFile) return status;
  status.st_size = static_cast<off_t>(blocks.size().bytes);
  status.st_blocks = status.st_size / 512;
  status.st_blksize = 4096;
  return status;
}

void look_up(fuse_req_t request, fuse_ino_t, const char* name) {
  if (std::string_view(name) != kName) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  fuse_entry_param entry{};
  entry.ino = kFile;
  entry.attr = attributes_of(served(request), kFile);
  entry.attr_timeout = entry.entry_timeout = kForever;
  fuse_reply_entry(request, &entry);
}

void get_attributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  const struct stat status = attributes_of(served(request), inode);
  fuse_reply_attr(request, &status, kForever);
}

// Times and modes are nobody's business; its size is fixed.
void set_attributes(fuse_req_t request, fuse_ino_t inode, struct stat* wanted, int which, fuse_file_info* info) {
  const auto size = static_cast<off_t>(served(request).size().bytes);
  if ((which & FUSE_SET_ATTR_SIZE) != 0 && wanted->st_size != size) {
    fuse_reply_err(request, EFBIG);
    return;
  }
  get_attributes(request, inode, info);
}

void open_file(fuse_req_t request, fuse_ino_t, fuse_file_info* info) { fuse_reply_open(request, info); }

void read_file_part(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info*) {
  ServedBlocks& blocks = served(request);
  const auto at = std::min(static_cast<std::uint64_t>(offset), blocks.size().bytes);
  Bytes out(std::min<std::uint64_t>(size, blocks.size().bytes - at));
  if (blocks.read(at, out))
    fuse_reply_buf(request, reinterpret_cast<const char*>(out.data()), out.size());
  else
    fuse_reply_err(request, EIO);
}

void write_file_part(fuse_req_t request, fuse_ino_t, const char* data, std::size_t size, off_t offset, fuse_file_info*) {
  ServedBlocks& blocks = served(request);
  const auto at = static_cast<std::uint64_t>(offset);
  if (at > blocks.size().bytes || size > blocks.size().bytes - at) {
    fuse_reply_err(request, EFBIG);
    return;
  }
  if (blocks.write(at, as_bytes({data, size})))
    fuse_reply_write(request, size);
  else
    fuse_reply_err(request, EIO);
}

void sync_file(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  fuse_reply_err(request, served(request).flush() ? 0 : EIO);
}

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops out{};
  out.init = begin;
  out.lookup = look_up;
  out.getattr = get_attributes;
  out.setattr = set_attributes;
  out.open = open_file;
  out.read = read_file_part;
  out.write = write_file_part;
  out.fsync = sync_file;
  return out;
}

void say_nothing(fuse_log_level, const char*, va_list) {}

fuse_session* new_session(ServedBlocks* blocks) {
  static const fuse_lowlevel_ops kOperations = operations();
  fuse_set_log_func(say_nothing);
  std::array<std::string, 3> words{"stampede", "-o", "fsname=stampede"};
  std::array<char*, 3> pointers{words[0].data(), words[1].data(), words[2].data()};
  fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
  fuse_session* const out = fuse_session_new(&arguments, &kOperations, sizeof kOperations, blocks);
  fuse_opt_free_args(&arguments);  // what libfuse has added
  return out;
}

// An empty folder to mount over, gone again at the end.
class MountPoint {
 public:
  static Result<MountPoint> make() {
    std::array<std::byte, 8> name{};
    system_random().fill(name);
    std::error_code error;
    auto path = std::filesystem::temp_directory_path(error) / ("stampede-" + to_hex(name));
    STAMPEDE_CHECK(make_folders(path));
    return MountPoint(std::move(path));
  }
  MountPoint(MountPoint&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~MountPoint() {
    if (!path_.empty()) ::rmdir(path_.c_str());
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit MountPoint(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace

Result<> check_can_serve() {
  if (File::open(kDevice, O_RDWR)) return {};
  return fail(Code::cannot_customise,
              "{} cannot be opened, which e2fsprogs' work on the new disk needs: be root, and load "
              "the module fuse",
              kDevice);
}

Result<std::unique_ptr<ServedBlocks>> ServedBlocks::serve(BlockAccess& blocks, Offset at, Size length) {
  STAMPEDE_CHECK(check_can_serve());
  std::unique_ptr<ServedBlocks> out(new ServedBlocks(blocks, at, length));
  STAMPEDE_CHECK(out->mount());
  return out;
}

Result<> ServedBlocks::mount() {
  STAMPEDE_TRY(const MountPoint point, MountPoint::make());
  session_ = new_session(this);
  if (session_ == nullptr || fuse_session_mount(session_, point.path().c_str()) != 0)
    return fail(Code::cannot_customise, "cannot mount a FUSE file system over {}", point.path().string());
  thread_ = std::thread([this] { fuse_session_loop(session_); });
  auto opened = File::open(point.path() / kName, O_RDWR);
  detached_ = ::umount2(point.path().c_str(), MNT_DETACH) == 0;
  if (!detached_ && opened)
    return fail(Code::cannot_customise, "cannot detach {}: {}", point.path().string(), errno_text(errno));
  STAMPEDE_TRY(file_, std::move(opened));
  return {};
}

ServedBlocks::~ServedBlocks() {
  file_ = {};  // the last one: the kernel ends the session
  // Where the folder is still mounted it does not, and the loop would wait for ever.
  if (thread_.joinable() && !detached_) {
    fuse_session_exit(session_);
    fuse_session_unmount(session_);
  }
  if (thread_.joinable()) thread_.join();
  if (session_ == nullptr) return;
  fuse_session_unmount(session_);
  fuse_session_destroy(session_);
}

Result<> ServedBlocks::settle() {
  auto synced = file_.sync();
  if (const auto first = failure()) return pass(*first);
  if (!synced) return synced;
  ::posix_fadvise(file_.fd(), 0, 0, POSIX_FADV_DONTNEED);
  return {};
}

std::optional<Error> ServedBlocks::failure() const {
  const std::scoped_lock lock(mutex_);
  return failure_;
}

Result<> ServedBlocks::note(Result<> done) {
  const std::scoped_lock lock(mutex_);
  if (!done && !failure_) failure_ = done.error();
  return done;
}

Result<> ServedBlocks::read(std::uint64_t offset, MutableBytes out) { return note(blocks_.read(at_ + Size{offset}, out)); }
Result<> ServedBlocks::write(std::uint64_t offset, ByteView bytes) { return note(blocks_.write(at_ + Size{offset}, bytes)); }
Result<> ServedBlocks::flush() { return note(blocks_.flush()); }

}  // namespace stampede::volume
