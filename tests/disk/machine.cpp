#include "tests/disk/machine.h"

namespace stampede::disk {

namespace fs = std::filesystem;

Machine::Machine() {
  text(paths_.proc / "self/mountinfo", "");
  text(paths_.proc / "swaps", "Filename\tType\tSize\tUsed\tPriority\n");
  fs::create_directories(paths_.sys / "block");
  fs::create_directories(paths_.dev);
}

fs::path Machine::disk(const std::string& name, const std::string& number, std::uint64_t sectors) {
  return node(paths_.sys / "block" / name, name, number, sectors);
}

fs::path Machine::partition(const std::string& whole, const std::string& name, const std::string& number) {
  const fs::path folder = node(paths_.sys / "block" / whole / name, name, number, 2048);
  text(folder / "partition", "1\n");
  return folder;
}

void Machine::holds(const fs::path& folder, const std::string& holder) {
  fs::create_directories(folder / "holders" / holder);
}

void Machine::mount(const std::string& number, const std::string& source, const std::string& where,
                    const std::string& table) {
  add(paths_.proc / table / "mountinfo",
      fmt::format("22 1 {} / {} rw,relatime shared:1 master:2 - ext4 {} rw\n", number, where, source));
}

void Machine::swap(const std::string& device) { add(paths_.proc / "swaps", device + " partition 1024 0 -2\n"); }

void Machine::link(const std::string& from, const std::string& to) {
  fs::create_directories((paths_.dev / from).parent_path());
  fs::create_symlink(paths_.dev / to, paths_.dev / from);
}

void Machine::text(const fs::path& path, std::string_view content) {
  fs::create_directories(path.parent_path());
  put(path, as_bytes(content));
}

Disk Machine::only() {
  const auto disks = list_disks(paths_);
  EXPECT_TRUE(disks);
  EXPECT_EQ(disks->size(), 1U);
  Disk disk = disks->at(0);
  EXPECT_EQ(disk.content, "");  // not looked at unasked
  look_into(disk);
  return disk;
}

fs::path Machine::node(const fs::path& folder, const std::string& name, const std::string& number, std::uint64_t sectors) {
  text(folder / "dev", number + "\n");
  text(folder / "size", std::to_string(sectors) + "\n");
  text(folder / "ro", "0\n");
  text(paths_.dev / name, "");
  fs::resize_file(paths_.dev / name, sectors * 512);
  return folder;
}

void Machine::add(const fs::path& path, const std::string& line) {
  Bytes all = fs::exists(path) ? content_of(path) : Bytes{};
  all.insert(all.end(), as_bytes(line).begin(), as_bytes(line).end());
  text(path, as_text(all));
}

}  // namespace stampede::disk
