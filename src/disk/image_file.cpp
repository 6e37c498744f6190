#include "src/disk/image_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "src/disk/guard_file.h"
#include "src/volume/run_tool.h"

namespace stampede::disk {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kFormat = "qcow2";

class ServedReader final : public Reader {
 public:
  explicit ServedReader(std::unique_ptr<NbdConnection> connection) : connection_(std::move(connection)) {}
  Result<std::size_t> read_some_at(Offset offset, MutableBytes out) const override {
    if (connection_->read(offset.bytes, out) >= 0) return out.size();
    return fail(Code::read_failed, "cannot read at byte {}: {}", offset.bytes, errno_text(errno));
  }

 private:
  const std::unique_ptr<NbdConnection> connection_;
};

}  // namespace

bool is_image_file(const fs::path& path) { return path.extension() == ".qcow2"; }

Result<std::unique_ptr<ImageFile>> ImageFile::create(const fs::path& path, Size size, bool replace) {
  std::unique_ptr<ImageFile> image(new ImageFile(path, replace));
  STAMPEDE_CHECK(image->make());
  STAMPEDE_CHECK(image->format(size));
  STAMPEDE_CHECK(image->serve());
  return image;
}

ImageFile::~ImageFile() {
  server_.reset();
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<> ImageFile::make() {
  int fd = ::open(path_.parent_path().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {  // NFS, FUSE
    temporary_ = path_;
    temporary_ += fmt::format(".new-{}", ::getpid());
    fd = ::open(temporary_.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
  }
  if (fd < 0) return std::unexpected(cannot_open_file(path_, errno));
  file_ = File(fd, path_);
  return {};
}

Result<> ImageFile::format(Size size) const {
  const auto tool = volume::find_tool("qemu-img", "qemu-utils");
  if (!tool) return fail(Code::usage, "{}", tool.error().message);
  STAMPEDE_TRY(const auto ran, volume::run_tool(*tool,
                                                {"create", "-q", "-f", std::string(kFormat), std::string(volume::kToolFile),
                                                 std::to_string(size.bytes)},
                                                file_));
  if (ran.status == 0) return {};
  return fail(Code::write_failed, "cannot make {}: {}", path_.string(), ran.last_line());
}

Result<> ImageFile::serve() {
  direct_ = set_direct(file_.fd());
  STAMPEDE_TRY(server_, NbdServer::serve(file_, kFormat, direct_));
  content_ = server_->connection();
  engine_ = server_->connection();
  reader_ = server_->connection();
  return {};
}

std::unique_ptr<Reader> ImageFile::reader() { return std::make_unique<ServedReader>(std::move(reader_)); }

Result<> ImageFile::publish() {
  if (auto stopped = server_->stop(); !stopped) return pass(std::move(stopped).error(), path_.string());
  STAMPEDE_CHECK(file_.sync());
  STAMPEDE_CHECK(give_name());
  temporary_.clear();
  return sync_folder(path_.parent_path());
}

Result<> ImageFile::give_name() {
  if (temporary_.empty()) {
    fs::path name = path_;
    if (replace_) name += fmt::format(".new-{}", ::getpid());
    const std::string unnamed = fmt::format("/proc/self/fd/{}", file_.fd());
    if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      if (errno == EEXIST) return fail(Code::usage, "{} has been made by somebody else meanwhile", name.string());
      return fail(Code::write_failed, "cannot name {}: {}", name.string(), errno_text(errno));
    }
    if (!replace_) return {};
    temporary_ = std::move(name);
  }
  if (!replace_) return rename_to_new(temporary_, path_);
  if (::rename(temporary_.c_str(), path_.c_str()) == 0) return {};
  return fail(Code::write_failed, "cannot rename {} to {}: {}", temporary_.string(), path_.string(), errno_text(errno));
}

}  // namespace stampede::disk
