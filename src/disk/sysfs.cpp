#include "src/disk/sysfs.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>
#include <sstream>

#include "src/base/file.h"

namespace stampede::disk {

namespace fs = std::filesystem;

namespace {

constexpr Size kTableLimit = 16_MiB;

std::string text_of(const fs::path& path) {
  const auto bytes = read_file(path, kTableLimit);
  return bytes ? std::string(as_text(*bytes)) : "";
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank(" \t\n\r\0", 5);
  const std::size_t from = text.find_first_not_of(kBlank);
  if (from == text.npos) return "";
  return std::string(text.substr(from, text.find_last_not_of(kBlank) - from + 1));
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename());
  std::ranges::sort(names);
  return names;
}

BlockNode node_at(const fs::path& folder, const std::string& whole) {
  return {folder.filename(), attribute(folder / "dev"), whole, folder, names_in(folder / "holders"), {}};
}

// A mounted btrfs of several devices stands in mountinfo with one of them, and a bcache set without a backing device has no
// node: neither is among the holders.
void add_members(std::vector<BlockNode>& nodes, const SystemPaths& paths) {
  const fs::path btrfs = paths.sys / "fs" / "btrfs";
  std::error_code error;
  for (const std::string& uuid : names_in(btrfs))
    for (const std::string& device : names_in(btrfs / uuid / "devices"))
      for (BlockNode& node : nodes)
        if (node.name == device) node.members.push_back("btrfs " + uuid);
  for (BlockNode& node : nodes)
    if (node.holders.empty() && fs::exists(node.folder / "bcache", error)) node.members.emplace_back("bcache");
}

// mountinfo and swaps write blanks as \040.
std::string unescaped(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size() || !std::ranges::all_of(text.substr(i + 1, 3), octal)) {
      out += text[i];
      continue;
    }
    out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return out;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// id parent major:minor root where options… - type source options
void add_mounts(const fs::path& table, const SystemPaths& paths, std::vector<Use>& uses) {
  std::istringstream in(text_of(table));
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> words = words_of(line);
    const auto dash = std::ranges::find(words, "-");
    if (words.size() < 6 || words.end() - dash < 3) continue;
    uses.push_back({words[2], device_name(unescaped(dash[2]), paths), unescaped(words[4])});
  }
}

}  // namespace

std::string attribute(const fs::path& path) {
  const std::string text = text_of(path);
  return trimmed(std::string_view(text).substr(0, text.find('\n')));
}

std::uint64_t number_attribute(const fs::path& path) {
  const std::string text = attribute(path);
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string vpd_serial(const fs::path& path) {
  const std::string page = text_of(path);
  constexpr std::size_t kHeader = 4;
  if (page.size() <= kHeader || page[1] != '\x80') return "";
  return trimmed(std::string_view(page).substr(kHeader));
}

std::vector<BlockNode> block_nodes(const SystemPaths& paths) {
  std::vector<BlockNode> nodes;
  for (const std::string& name : names_in(paths.sys / "block")) {
    const fs::path folder = paths.sys / "block" / name;
    if (name.starts_with("ram") || name.starts_with("zram") || attribute(folder / "hidden") == "1") continue;
    nodes.push_back(node_at(folder, name));
    for (const std::string& part : names_in(folder)) {
      std::error_code error;
      if (fs::exists(folder / part / "partition", error)) nodes.push_back(node_at(folder / part, name));
    }
  }
  add_members(nodes, paths);
  return nodes;
}

std::vector<Use> mounts(const SystemPaths& paths) {
  std::vector<Use> uses;
  add_mounts(paths.proc / "self" / "mountinfo", paths, uses);
  return uses;
}

std::vector<Use> root_mounts(const SystemPaths& paths) {
  std::vector<Use> uses = mounts(paths);
  add_mounts(paths.proc / "1" / "mountinfo", paths, uses);
  constexpr std::array<std::string_view, 4> kSystem{"/", "/boot", "/boot/efi", "/efi"};
  std::erase_if(uses, [&](const Use& use) { return std::ranges::find(kSystem, use.where) == kSystem.end(); });
  return uses;
}

std::vector<Use> swaps(const SystemPaths& paths) {
  std::vector<Use> uses;
  std::istringstream in(text_of(paths.proc / "swaps"));
  std::string line;
  std::getline(in, line);  // headings
  while (std::getline(in, line))
    if (const auto words = words_of(line); !words.empty()) uses.push_back({"", device_name(unescaped(words[0]), paths), ""});
  return uses;
}

std::string device_name(const std::string& device, const SystemPaths& paths) {
  std::string_view rest = device;
  if (const std::string dev = paths.dev.string() + "/"; rest.starts_with(dev))
    rest.remove_prefix(dev.size());
  else if (rest.starts_with("/dev/"))
    rest.remove_prefix(5);
  else
    return "";
  std::error_code error;
  const fs::path root = fs::canonical(paths.dev, error);
  const fs::path path = fs::canonical(paths.dev / rest, error);
  if (error) return "";
  std::string name = path.lexically_relative(root);
  if (name.starts_with("..")) return "";
  std::ranges::replace(name, '/', '!');  // as sysfs writes "cciss/c0d0"
  return name;
}

std::string whole_of_partition(const std::string& device, const SystemPaths& paths) {
  const std::string name = device_name(device, paths);
  const auto nodes = block_nodes(paths);
  const auto node = std::ranges::find(nodes, name, &BlockNode::name);
  return name.empty() || node == nodes.end() || !node->is_partition() ? "" : node->whole;
}

}  // namespace stampede::disk
