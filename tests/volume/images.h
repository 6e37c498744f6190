// What the tests of disks share: a folder that goes away, disk images made by the real tools, and disks that fail.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/file.h"
#include "src/volume/block_access.h"
#include "tests/scratch.h"

namespace stampede::volume {

// In memory where that is possible: the tools that make images flush them.
class Scratch : public stampede::Scratch {
 public:
  Scratch() : stampede::Scratch(parent()) {}

 private:
  static std::filesystem::path parent() {
    const bool memory = std::filesystem::is_directory("/dev/shm") && ::access("/dev/shm", W_OK) == 0;
    return memory ? "/dev/shm" : std::filesystem::temp_directory_path();
  }
};

struct Ran {
  int code = -1;
  std::string output;
};

// Runs a shell command with the tools of /usr/sbin in reach.
inline Ran run(const std::string& command) {
  const std::string line =
      "export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C E2FSPROGS_FAKE_TIME= ; ( " + command + " ) 2>&1 </dev/null";
  Ran out;
  FILE* pipe = ::popen(line.c_str(), "re");
  if (pipe == nullptr) return out;
  std::array<char, 4096> part{};
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), pipe)) out.output.append(part.data(), n);
  const int status = ::pclose(pipe);
  out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return out;
}
inline bool have(const std::string& tool) { return run("command -v " + tool).code == 0; }

inline void put(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

// A file of zeros.
inline void make_disk(const std::filesystem::path& path, std::uint64_t size) {
  std::ofstream(path, std::ios::binary).close();
  std::filesystem::resize_file(path, size);
}

// The smallest folder that looks like a root file system.
inline void make_root_tree(const std::filesystem::path& tree, bool cloud_init = true) {
  put(tree / "usr/lib/os-release", "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\n");
  std::filesystem::create_directories(tree / "etc/ssh");
  std::filesystem::create_symlink("../usr/lib/os-release", tree / "etc/os-release");
  put(tree / "etc/hostname", "template\n");
  put(tree / "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  for (const char* kind : {"rsa", "ed25519"}) {
    put(tree / "etc/ssh" / (std::string("ssh_host_") + kind + "_key"), std::string(2000, 'k'));
    put(tree / "etc/ssh" / (std::string("ssh_host_") + kind + "_key.pub"), "public\n");
  }
  put(tree / "etc/ssh/sshd_config", "UsePAM yes\n");
  std::filesystem::create_directories(tree / "usr/bin");
  std::filesystem::copy_file("/bin/sh", tree / "usr/bin/dash", std::filesystem::copy_options::overwrite_existing);
  std::filesystem::create_symlink("dash", tree / "usr/bin/sh");
  std::filesystem::create_symlink("usr/bin", tree / "bin");
  std::filesystem::create_directories(tree / "var/lib");
  if (cloud_init) put(tree / "usr/bin/cloud-init", "#!/usr/bin/python3\n");
}

// Disk bytes in memory; the `fail_at`th write or flush from now on fails, and so does every later one.
class MemoryBlocks final : public BlockAccess {
 public:
  explicit MemoryBlocks(Bytes bytes) : bytes_(std::move(bytes)) {}
  static MemoryBlocks load(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    Bytes bytes(std::filesystem::file_size(path));
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return MemoryBlocks(std::move(bytes));
  }

  Size size() const override { return {bytes_.size()}; }
  Result<> read(Offset offset, MutableBytes out) override {
    if (offset.bytes > bytes_.size() || out.size() > bytes_.size() - offset.bytes)
      return fail(Code::read_failed, "past the end");
    if (reads_fail_at != 0 && ++reads >= reads_fail_at) return fail(Code::read_failed, "no read today");
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset.bytes), out.size(), out.begin());
    return {};
  }
  Result<> write(Offset offset, ByteView bytes) override {
    if (offset.bytes > bytes_.size() || bytes.size() > bytes_.size() - offset.bytes)
      return fail(Code::write_failed, "past the end");
    if (++writes >= fail_at && fail_at != 0) return fail(Code::write_failed, "no write today");
    std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(offset.bytes));
    return {};
  }
  Result<> flush() override {
    if (++writes >= fail_at && fail_at != 0) return fail(Code::flush_failed, "no flush today");
    ++flushes;
    return {};
  }
  void save(const std::filesystem::path& path) const {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
  }
  Bytes& bytes() { return bytes_; }

  std::size_t fail_at = 0, writes = 0, flushes = 0;
  std::size_t reads_fail_at = 0, reads = 0;

 private:
  Bytes bytes_;
};

}  // namespace stampede::volume
