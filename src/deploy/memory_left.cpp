#include "src/deploy/memory_left.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "src/base/bytes.h"
#include "src/base/file.h"

namespace stampede::deploy {

namespace {

std::string text_of(const std::filesystem::path& file) {
  const auto bytes = read_file(file, 1_MiB);
  return bytes ? std::string(as_text(*bytes)) : "";
}

// The number that follows `key` at the start of a line; of an empty key the first of the text.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view key) {
  std::size_t at = 0;
  while (!text.substr(at).starts_with(key)) {
    at = text.find('\n', at);
    if (at == std::string_view::npos) return std::nullopt;
    ++at;
  }
  at = text.find_first_not_of(' ', at + key.size());
  if (at == std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  if (std::from_chars(text.data() + at, text.data() + text.size(), value).ec != std::errc{}) return std::nullopt;
  return value;
}

std::optional<Size> left_in_group(const std::filesystem::path& group) {
  const auto most = number_after(text_of(group / "memory.max"), "");  // nothing for "max"
  const auto used = number_after(text_of(group / "memory.current"), "");
  if (!most || !used) return std::nullopt;
  const std::uint64_t cache = number_after(text_of(group / "memory.stat"), "inactive_file ").value_or(0);
  const std::uint64_t kept = *used - std::min(*used, cache);
  return Size{*most - std::min(*most, kept)};
}

}  // namespace

std::optional<Size> memory_left(const std::filesystem::path& root) {
  std::optional<Size> left;
  const auto at_most = [&](std::optional<Size> size) {
    if (size) left = std::min(left.value_or(*size), *size);
  };
  if (const auto kib = number_after(text_of(root / "proc/meminfo"), "MemAvailable:")) at_most(Size{*kib << 10});
  const std::string groups = text_of(root / "proc/self/cgroup");
  constexpr std::string_view kUnified = "0::/";
  auto at = groups.starts_with(kUnified) ? 0 : groups.find("\n0::/");
  if (at == std::string::npos) return left;
  at = groups.find("::/", at) + 3;
  std::filesystem::path inside = groups.substr(at, groups.find('\n', at) - at);
  for (; !inside.empty(); inside = inside.parent_path()) at_most(left_in_group(root / "sys/fs/cgroup" / inside));
  return left;
}

}  // namespace stampede::deploy
