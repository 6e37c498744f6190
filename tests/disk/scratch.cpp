#include "tests/disk/scratch.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace stampede::disk {

Ran run(const std::string& command) {
  Ran ran;
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {-1, "popen failed"};
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) ran.output.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  while (!ran.output.empty() && ran.output.back() == '\n') ran.output.pop_back();
  return ran;
}

std::unique_ptr<LoopDevice> LoopDevice::make(const std::filesystem::path& file, Size size, std::uint32_t sector) {
  if (!std::filesystem::exists(file)) {
    put(file, {});
    std::filesystem::resize_file(file, size.bytes);
  }
  const Ran ran = run(fmt::format("losetup --find --show --direct-io=on --sector-size {} {}", sector, file.string()));
  if (ran.code == 0) return std::unique_ptr<LoopDevice>(new LoopDevice(ran.output));
  const char* const ci = std::getenv("CI");
  if (ci != nullptr && std::string_view(ci) == "true") ADD_FAILURE() << "no loop device: " << ran.output;
  return nullptr;
}

// The kernel keeps a device read-only beyond its detachment.
LoopDevice::~LoopDevice() { run(fmt::format("blockdev --setrw {0}; losetup --detach {0}", path_)); }

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  random.fill(bytes);
  return bytes;
}

Bytes content_of(const std::filesystem::path& path) {
  const auto file = File::open(path, O_RDONLY);
  Bytes bytes(file->size()->bytes);
  EXPECT_TRUE(file->read_at({}, bytes));
  return bytes;
}

void put(const std::filesystem::path& path, ByteView bytes) {
  const auto file = File::open(path, O_WRONLY | O_CREAT);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->write_at({}, bytes));
}

namespace {
GuardedDisk guarded(const std::filesystem::path& path, int flags, Size size, std::uint32_t sector) {
  auto file = File::open(path, flags | O_DIRECT);
  if (!file) file = File::open(path, flags);  // tmpfs of old kernels
  EXPECT_TRUE(file);
  GuardedDisk disk;
  disk.file = std::move(*file);
  disk.identity.path = path;
  disk.identity.size = size;
  disk.identity.sector_size = sector;
  return disk;
}
}  // namespace

GuardedDisk guarded_file(const std::filesystem::path& path, Size size, bool created) {
  GuardedDisk disk = guarded(path, O_RDWR | O_CREAT, size, 512);
  std::filesystem::resize_file(path, size.bytes);
  disk.is_file = true;
  disk.created = created;
  return disk;
}

GuardedDisk guarded_device(const std::string& path, Size size, std::uint32_t sector) {
  GuardedDisk disk = guarded(path, O_RDWR | O_EXCL, size, sector);
  disk.alignment = sector;
  return disk;
}

}  // namespace stampede::disk
