#include "src/volume/domain_map.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "src/volume/free_space.h"
#include "src/volume/run_tool.h"
#include "src/volume/served_blocks.h"
#include "src/volume/settled.h"

namespace stampede::volume {

namespace {

constexpr std::array<std::string_view, 3> kKnown{"xfs", "btrfs", "ntfs"};
// A line for each range, free and used ones by turns.
constexpr std::uint64_t kMostMap = kMostFreeRanges * 2 * 48;
constexpr std::string_view kMemory = "--as=4294967296", kTime = "--cpu=900";

std::unexpected<Error> not_understood(std::string_view line) {
  return fail(Code::cannot_customise, "partclone says what is not understood: '{}'", line.substr(0, 60));
}

std::optional<std::uint64_t> number(std::string_view word) {
  std::uint64_t out = 0;
  if (!word.starts_with("0x")) return std::nullopt;
  const auto parsed = std::from_chars(word.data() + 2, word.data() + word.size(), out, 16);
  return parsed.ec == std::errc{} && parsed.ptr == word.data() + word.size() ? std::optional(out) : std::nullopt;
}

// At most four words of a line, more of which is not understood anyway.
struct Words {
  std::array<std::string_view, 4> word;
  std::size_t count = 0;
};
Words words_of(std::string_view line) {
  Words out;
  while (out.count < out.word.size()) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty()) break;
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    out.word[out.count++] = line.substr(0, end);
    line.remove_prefix(end);
  }
  return out;
}

Result<File> file_in_memory() {
  const int memory = ::memfd_create("stampede-map", MFD_CLOEXEC);
  if (memory < 0) return fail(Code::internal, "cannot make a file in memory: {}", errno_text(errno));
  return File(memory, "partclone's map");
}

}  // namespace

bool partclone_knows(std::string_view filesystem) { return std::ranges::find(kKnown, filesystem) != kKnown.end(); }

Result<std::vector<Range>> decode_domain_map(std::string_view text, Offset at, Size length) {
  std::vector<Range> out;
  std::optional<std::uint64_t> told;
  std::uint64_t end = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with('#')) continue;
    const Words words = words_of(line);
    const auto position = number(words.word[0]);
    if (!told) {
      if (words.count != 2 || !position || *position > length.bytes) return not_understood(line);
      told = position;
      continue;
    }
    const auto size = number(words.word[1]);
    const bool free = words.word[2] == "?";
    if (words.count != 3 || !position || !size || (!free && words.word[2] != "+")) return not_understood(line);
    if (*position != end || *size == 0 || *size > *told - end || (free && end == 0)) return not_understood(line);
    if (free) out.push_back({at + Size{end}, {*size}});
    if (out.size() > kMostFreeRanges) return fail(Code::cannot_customise, "its free space is in too many pieces");
    end += *size;
  }
  if (!told || end != *told) return fail(Code::cannot_customise, "partclone's map is not complete");
  return out;
}

Result<std::vector<Range>> free_by_partclone(BlockAccess& blocks, Offset at, Size length, std::string_view filesystem,
                                             const std::function<bool()>& go_on) {
  STAMPEDE_CHECK(check_settled(blocks, at, length, filesystem));
  STAMPEDE_TRY(const std::string partclone, find_tool(fmt::format("partclone.{}", filesystem), "partclone"));
  STAMPEDE_TRY(const std::string limit, find_tool("prlimit", "util-linux"));
  STAMPEDE_TRY(const std::string drop, find_tool("setpriv", "util-linux"));
  STAMPEDE_TRY(const auto served, ServedBlocks::serve(blocks, at, length));
  STAMPEDE_TRY(const File map, file_in_memory());
  const std::vector<std::string> arguments{std::string(kMemory),
                                           std::string(kTime),
                                           fmt::format("--fsize={}", kMostMap),
                                           drop,
                                           "--no-new-privs",
                                           "--bounding-set=-all",
                                           "--inh-caps=-all",
                                           partclone,
                                           "--domain",
                                           "--source",
                                           std::string(kToolFile),
                                           "--output",
                                           "-",
                                           "--logfile",
                                           "/dev/null",
                                           "--no_block_detail"};
  STAMPEDE_TRY(const ToolRun run, run_tool(limit, arguments, served->file(), go_on, &map));
  if (run.status != 0) return fail(Code::cannot_customise, "{}: {}", partclone, run.last_line());
  STAMPEDE_TRY(const Size size, map.size());
  Bytes text(std::min(size.bytes, kMostMap));
  STAMPEDE_CHECK(map.read_at({}, text));
  return decode_domain_map(as_text(text), at, length);
}

}  // namespace stampede::volume
