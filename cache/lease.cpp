#include "cache/lease.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ranges>

#include "src/base/seams.h"

namespace stampede::cache {
namespace {

// "<32 random hex>.<what>": "import", or an image id.
constexpr std::size_t kRandom = 16;
constexpr std::string_view kImport = "import";

// Beside the leases: a pack's name in each line.
constexpr std::string_view kCondemned = "condemned";
constexpr Size kMostCondemned = 64_MiB;

std::unexpected<Error> cannot_lock(const std::filesystem::path& path) {
  return fail(Code::usage, "cannot lock {}: {}", path.string(), errno_text(errno));
}

// Whether it is locked now, and by its name still there.
Result<bool> is_held(const std::filesystem::path& path) {
  STAMPEDE_TRY(const File file, File::open(path, O_RDWR));
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK ? Result<bool>(true) : cannot_lock(path);
  // Of a process that died, or of one that has made it this moment: that one sees that it is gone, and makes another.
  ::unlink(path.c_str());
  return false;
}

}  // namespace

Lease::~Lease() {
  if (file_) ::unlink(path_.c_str());
}

Result<Lease> take_lease(const std::filesystem::path& folder, std::string_view what) {
  while (true) {
    std::array<std::byte, kRandom> random;
    system_random().fill(random);
    const std::filesystem::path path = folder / fmt::format("{}.{}", to_hex(random), what);
    STAMPEDE_TRY(File file, File::open(path, O_RDWR | O_CREAT | O_EXCL));
    struct stat status{};
    // Between open and flock somebody who looks for live leases may have taken it for a dead one's.
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0 || ::fstat(file.fd(), &status) != 0 || status.st_nlink == 0) continue;
    return Lease(path, std::move(file));
  }
}

Result<Lease> lease_packs(const std::filesystem::path& folder) { return take_lease(folder, kImport); }

Result<Lease> lease_image(const std::filesystem::path& folder, const chunker::ImageId& image) {
  return take_lease(folder, to_string(image));
}

Result<LiveLeases> live_leases(const std::filesystem::path& folder) {
  LiveLeases live;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.size() <= 2 * kRandom || name[2 * kRandom] != '.') continue;
    const std::string what = name.substr(2 * kRandom + 1);
    const auto image = from_hex(what);
    if (what != kImport && (!image || image->size() != sizeof(chunker::Sha256))) continue;
    // One that is gone meanwhile was given back.
    const auto held = is_held(it->path());
    if (!held && std::filesystem::exists(it->path())) return pass(held.error());
    if (!held || !*held) continue;
    if (what == kImport) {
      live.imports.push_back(name);
    } else {
      live.images.emplace_back();
      std::ranges::copy(*image, live.images.back().digest.begin());
    }
  }
  if (error) return fail(Code::usage, "cannot list {}: {}", folder.string(), error.message());
  std::ranges::sort(live.imports);
  return live;
}

Result<> condemn(const std::filesystem::path& folder, const PackNames& packs) {
  std::string text;
  for (const std::string& name : packs) text += name + "\n";
  return replace_file(folder / kCondemned, as_bytes(text));
}

Result<PackNames> condemned(const std::filesystem::path& folder) {
  PackNames names;
  STAMPEDE_TRY(const auto text, read_file_if_there(folder / kCondemned, kMostCondemned));
  if (!text) return names;
  for (const auto line : std::views::split(as_text(*text), '\n')) names.emplace(line.begin(), line.end());
  return names;
}

void spare_all(const std::filesystem::path& folder) { ::unlink((folder / kCondemned).c_str()); }

Result<File> lock(const std::filesystem::path& path) {
  STAMPEDE_TRY(File file, File::open(path, O_RDONLY));
  while (::flock(file.fd(), LOCK_EX) != 0)
    if (errno != EINTR) return cannot_lock(path);
  return file;
}

Result<std::optional<File>> try_lock(const std::filesystem::path& path) {
  STAMPEDE_TRY(File file, File::open(path, O_RDWR | O_CREAT));
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) == 0) return std::optional(std::move(file));
  if (errno == EWOULDBLOCK) return std::nullopt;
  return cannot_lock(path);
}

}  // namespace stampede::cache
