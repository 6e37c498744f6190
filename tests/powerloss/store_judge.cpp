#include "tests/powerloss/store_judge.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "chunker/package.h"
#include "src/service/library.h"
#include "src/service/packaging.h"
#include "src/service/store_check.h"

namespace stampede::powerloss {

namespace {

template <class... Args>
std::unexpected<Error> wrong(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::internal, format, std::forward<Args>(args)...);
}

// Its data, and holes where it has holes.
Result<> copy_disk(const File& from, const std::filesystem::path& to) {
  STAMPEDE_TRY(const File out, File::open(to, O_RDWR | O_CREAT | O_TRUNC));
  STAMPEDE_TRY(const Size size, from.size());
  STAMPEDE_CHECK(out.truncate(size));
  for (off_t at = 0, hole = 0; (at = ::lseek(from.fd(), hole, SEEK_DATA)) >= 0;) {
    hole = ::lseek(from.fd(), at, SEEK_HOLE);
    for (off_t to_at = at; at < hole;)
      if (::copy_file_range(from.fd(), &at, out.fd(), &to_at, static_cast<std::size_t>(hole - at), 0) <= 0)
        return wrong("cannot copy the disk: {}", errno_text(errno));
  }
  return {};
}

constexpr Size kStep = 4_MiB;

// Where somebody else has a loop device open, it may go on showing blocks of the disk that it was before: a superblock, say,
// that knows of no journal to be replayed.
Result<bool> shows(const File& loop, const File& disk) {
  if (::ioctl(loop.fd(), BLKFLSBUF, 0) != 0) return wrong("cannot empty {}: {}", loop.name(), errno_text(errno));
  STAMPEDE_TRY(const Size size, disk.size());
  Bytes shown(kStep.bytes), there(kStep.bytes);
  for (Offset at; at.bytes < size.bytes; at += kStep) {
    STAMPEDE_TRY(const std::size_t from_loop, loop.read_some_at(at, shown));
    STAMPEDE_TRY(const std::size_t from_disk, disk.read_some_at(at, there));
    if (from_loop != from_disk || shown != there) return false;
  }
  return true;
}

// A file system on a loop device, for as long as this lives.
class Mounted {
 public:
  static Result<Mounted> mount(const std::filesystem::path& disk, const std::filesystem::path& at) {
    STAMPEDE_TRY(const File control, File::open("/dev/loop-control", O_RDWR));
    STAMPEDE_TRY(const File backing, File::open(disk, O_RDWR));
    for (int attempt = 0; attempt < 100; ++attempt) {
      const int number = ::ioctl(control.fd(), LOOP_CTL_GET_FREE);
      if (number < 0) return wrong("no loop device: {}", errno_text(errno));
      const std::string device = fmt::format("/dev/loop{}", number);
      STAMPEDE_TRY(const File loop, File::open(device, O_RDWR));
      loop_config config{};
      config.fd = static_cast<__u32>(backing.fd());
      config.info.lo_flags = LO_FLAGS_AUTOCLEAR;  // let go of when it is unmounted
      if (::ioctl(loop.fd(), LOOP_CONFIGURE, &config) != 0) {
        if (errno == EBUSY) continue;  // somebody else was faster
        return wrong("cannot attach {}: {}", device, errno_text(errno));
      }
      STAMPEDE_TRY(const bool right, shows(loop, backing));
      if (!right) {
        fmt::print(stderr, "{} shows another disk's blocks: taking another one\n", device);
        continue;  // it is let go of with `loop`
      }
      if (::mount(device.c_str(), at.c_str(), "ext4", 0, nullptr) != 0)
        return wrong("the file system cannot be mounted: {}", errno_text(errno));
      return Mounted(at);
    }
    return wrong("no loop device is free for long enough, or shows the disk that it was given");
  }
  Mounted(Mounted&& other) noexcept : at_(std::exchange(other.at_, {})) {}
  Mounted& operator=(Mounted&&) = delete;
  ~Mounted() {
    if (!at_.empty()) ::umount2(at_.c_str(), 0);
  }

 private:
  explicit Mounted(std::filesystem::path at) : at_(std::move(at)) {}
  std::filesystem::path at_;
};

bool same_content(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto left = read_file(a, 1_GiB), right = read_file(b, 1_GiB);
  return left && right && *left == *right;
}

Result<> export_as(cache::Store& store, const service::Found& image, const std::filesystem::path& out) {
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store.chunks(), image.record.image));
  return chunker::export_image(manifest, store.chunks(), out, {});
}

// The file whose image it is, of those that it may be.
Result<std::string> which(cache::Store& store, const std::string& name, const std::set<std::string>& allowed,
                          const std::filesystem::path& images, const std::filesystem::path& out) {
  STAMPEDE_TRY(const auto parsed, chunker::ImageName::parse(name));
  const auto image = service::find_image(store, parsed);
  if (!image && image.error().code == Code::not_found) return std::string(kNone);
  if (!image) return wrong("{}: {}", name, image.error().message);
  if (const auto done = export_as(store, *image, out); !done) return wrong("{}: {}", name, done.error().message);
  std::string found = "something else";
  for (const auto& file : allowed)
    if (file != kNone && same_content(images / file, out)) found = file;
  std::filesystem::remove(out);
  return found;
}

}  // namespace

StoreJudge::StoreJudge(std::filesystem::path images, std::filesystem::path folder)
    : images_(std::move(images)), copy_(folder / "judged"), mount_(folder / "mounted"), out_(folder / "exported") {
  std::filesystem::create_directories(mount_);
}

Result<> StoreJudge::judge(const File& disk, const Expectations& expected) {
  STAMPEDE_CHECK(copy_disk(disk, copy_));
  STAMPEDE_TRY(const Mounted mounted, Mounted::mount(copy_, mount_));
  return judge_store(expected);
}

Result<> StoreJudge::judge_store(const Expectations& expected) {
  auto opened = cache::Store::open(mount_ / "store", system_clock());
  if (!opened) return wrong("the store does not open: {}", opened.error().message);
  cache::Store& store = **opened;
  recovered_ += store.recovered().size();
  for (const auto& line : store.recovered())
    if (line.starts_with("could not")) return wrong("{}", line);
  for (const auto& entry : std::filesystem::directory_iterator(mount_ / "store/packs"))
    if (entry.path().extension() != ".pack") return wrong("{} was left behind", entry.path().filename().string());
  const auto check = service::check_store(store, {});
  if (!check) return wrong("the store cannot be checked: {}", check.error().message);
  if (!check->sound()) return wrong("the check is not clean: {}", check->lines().front());

  for (const auto& [name, allowed] : expected.allowed()) {
    STAMPEDE_TRY(const std::string found, which(store, name, allowed, images_, out_));
    exported_ += found != kNone;
    if (!allowed.contains(found)) return wrong("{} is {} instead of {}", name, found, fmt::join(allowed, " or "));
  }
  STAMPEDE_TRY(const auto rows, store.catalog().list_tags());
  for (const auto& row : rows)
    if (!expected.allowed().contains(row.name.text()))
      return wrong("there is an image {} that nobody made", row.name.text());

  STAMPEDE_TRY(const auto next, chunker::ImageName::parse("next:1"));
  const auto imported = service::import_image(store, images_ / "next.img", next, {});
  if (!imported) return wrong("no new image can be imported: {}", imported.error().message);
  STAMPEDE_TRY(const std::string found, which(store, "next:1", {"next.img"}, images_, out_));
  if (found != "next.img") return wrong("the new image is {}", found);
  return {};
}

}  // namespace stampede::powerloss
