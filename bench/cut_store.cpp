// What images would take in a store, by cutter and by compression: for choosing both. Part of bench/dedup.
//
//   bench_cut_store IMAGE…      a line of JSON for each cutter: chunks and bytes that are unique, and for each level what
//   they
//                               take sealed and how long one core seals them
#include <fcntl.h>

#include <chrono>
#include <cstdio>
#include <span>
#include <unordered_set>

#include "chunker/cutter.h"
#include "chunker/seal.h"
#include "src/base/file.h"
#include "src/base/seams.h"
#include "src/volume/free_space.h"

using namespace stampede;
using namespace stampede::chunker;

namespace {

// A record's head in a pack and its entry in the footer.
constexpr std::uint64_t kOverhead = 64 + 48;

struct Unique {
  std::unordered_set<ChunkId> ids;
  std::vector<Bytes> chunks;
  std::uint64_t bytes = 0, all = 0;
};

bool is_free(const std::vector<Range>& ranges, std::uint64_t at) {
  const auto next = std::ranges::upper_bound(ranges, Offset{at}, {}, &Range::at);
  return next != ranges.begin() && std::prev(next)->end().bytes >= at + kBlock.bytes;
}

// Runs of blocks that are neither zero nor free, as an import cuts them.
Result<> take(const std::string& path, const CutterProfile& profile, Unique& unique) {
  STAMPEDE_TRY(const File file, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const Size size, file.size());
  STAMPEDE_TRY(const auto space, volume::find_free_space(path));
  Digester digester;
  Bytes run;
  const auto cut_run = [&](std::size_t left) {
    std::size_t done = 0;
    while (run.size() - done > left) {
      const ByteView rest = ByteView(run).subspan(done);
      const Size length = cut(rest, profile);
      const ByteView chunk = rest.first(length.bytes);
      if (unique.ids.insert(digester.name(chunk).id()).second) {
        unique.chunks.push_back(copy(chunk));
        unique.bytes += chunk.size();
      }
      unique.all += chunk.size();
      done += length.bytes;
    }
    run.erase(run.begin(), run.begin() + static_cast<std::ptrdiff_t>(done));
  };
  Bytes step(1U << 20);
  for (std::uint64_t at = 0; at < size.bytes; at += step.size()) {
    const MutableBytes part = MutableBytes(step).first(std::min<std::uint64_t>(step.size(), size.bytes - at));
    STAMPEDE_CHECK(file.read_at({at}, part));
    for (std::size_t i = 0; i < part.size(); i += kBlock.bytes) {
      const ByteView block = part.subspan(i, std::min<std::size_t>(kBlock.bytes, part.size() - i));
      if (all_zero(block) || is_free(space.ranges, at + i))
        cut_run(0);
      else
        run.insert(run.end(), block.begin(), block.end());
    }
    cut_run(profile.max.bytes - 1);
  }
  cut_run(0);
  return {};
}

std::vector<std::uint64_t> numbers(std::string_view text) {
  std::vector<std::uint64_t> out(1);
  for (const char c : text) {
    if (c == ',')
      out.push_back(0);
    else
      out.back() = out.back() * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return out;
}

Result<> run(std::span<char*> words) {
  const auto cutter = numbers(words[0]);
  if (cutter.size() != 3) return fail(Code::usage, "a cutter is MIN,MASK,MAX");
  Unique unique;
  for (char* image : words.subspan(2))
    STAMPEDE_CHECK(take(image, {.min = {cutter[0]}, .max = {cutter[2]}, .mask = cutter[1]}, unique));
  fmt::print(R"({{"cutter": "{}", "all": {}, "unique": {}, "chunks": {})", words[0], unique.all, unique.bytes,
             unique.chunks.size());
  for (const std::uint64_t level : numbers(words[1])) {
    Sealer sealer(static_cast<int>(level));
    Digester digester;
    std::uint64_t sealed = 0;
    const Instant start = system_clock().now();
    for (const Bytes& chunk : unique.chunks) sealed += sealer.seal(digester.name(chunk)).bytes.size() + kOverhead;
    const double seconds = std::chrono::duration<double>(system_clock().now() - start).count();
    fmt::print(R"(, "level {}": [{}, {:.2f}])", level, sealed, seconds);
  }
  fmt::print("}}\n");
  return {};
}

}  // namespace

int main(int count, char** words) {
  const std::span all(words, static_cast<std::size_t>(count));
  const auto done = count < 4 ? Result<>(fail(Code::usage, "MIN,MASK,MAX LEVELS IMAGE…")) : run(all.subspan(1));
  if (!done) fmt::print(stderr, "bench_cut_store: {}\n", done.error().message);
  return done ? 0 : 1;
}
