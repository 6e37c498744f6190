// A made-up /sys, /proc and /dev: what this machine's kernel has not, and what it may not be asked for in a test.
#pragma once

#include <filesystem>
#include <string>

#include "src/disk/inventory.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {

class Machine {
 public:
  Machine();
  const SystemPaths& paths() const { return paths_; }

  // Each gives the node's folder in sysfs.
  std::filesystem::path disk(const std::string& name, const std::string& number, std::uint64_t sectors);
  std::filesystem::path partition(const std::string& whole, const std::string& name, const std::string& number);

  static void holds(const std::filesystem::path& folder, const std::string& holder);
  void mount(const std::string& number, const std::string& source, const std::string& where,
             const std::string& table = "self");
  void swap(const std::string& device);
  // In /dev.
  void link(const std::string& from, const std::string& to);
  static void text(const std::filesystem::path& path, std::string_view content);

  // The one disk that there is, looked into.
  Disk only();

 private:
  std::filesystem::path node(const std::filesystem::path& folder, const std::string& name, const std::string& number,
                             std::uint64_t sectors);
  static void add(const std::filesystem::path& path, const std::string& line);

  const Scratch folder_;
  SystemPaths paths_{folder_.path() / "sys", folder_.path() / "proc", folder_.path() / "dev"};
};

}  // namespace stampede::disk
