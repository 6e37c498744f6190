// Opens a store of many synthetic packs and looks chunks up, as an import does. See bench/index.
//   bench_measure_index make STORE PACKS ENTRIES    makes the packs: real footers, records that are holes
//   bench_measure_index measure STORE LOOKUPS       prints JSON
#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include <fcntl.h>
#include <sys/resource.h>

#include "cache/pack.h"
#include "cache/store.h"
#include "chunker/digest.h"

namespace {

using namespace stampede;  // NOLINT(google-build-using-namespace): a program of its own

constexpr std::uint32_t kSealed = 1900;  // so that a pack of the most entries is as large as one may be
constexpr std::size_t kSampled = 1 << 20;
constexpr std::size_t kAtOnce = 16;  // as many as an import asks for: about the chunks of 1 MiB

chunker::ChunkId id_from(Random& random) {
  chunker::ChunkId id;
  random.fill(id.digest);
  return id;
}

// Pack n holds the ids that its seed gives, in this order.
SeededRandom ids_of_pack(std::uint64_t n) { return SeededRandom(1000 + n); }

Result<> make_pack(const std::filesystem::path& folder, std::uint64_t number, std::uint64_t count) {
  SeededRandom random = ids_of_pack(number);
  std::vector<cache::PackEntry> entries;
  Offset end{cache::kPackHead};
  for (std::uint64_t i = 0; i < count; ++i) {
    entries.push_back({id_from(random), end, kSealed, 2 * kSealed, chunker::Codec::zstd});
    end = entries.back().end();
  }
  const Bytes footer = cache::encode_footer(std::move(entries), end);
  STAMPEDE_TRY(const File file, File::open(cache::pack_path(folder, chunker::sha256(footer)), O_WRONLY | O_CREAT));
  STAMPEDE_CHECK(file.write_at({}, cache::encode_pack_head()));
  return file.write_at(end, footer);
}

Result<> make(const std::filesystem::path& store, std::uint64_t packs, std::uint64_t entries) {
  STAMPEDE_TRY(const auto made, cache::Store::open(store, system_clock()));
  for (std::uint64_t i = 0; i < packs; ++i) STAMPEDE_CHECK(make_pack(store / "packs", i, entries));
  return replace_file(store / "shape", as_bytes(fmt::format("{} {}", packs, entries)));
}

// Of this process, in bytes: what it maps of files counts too.
Result<std::uint64_t> resident() {
  STAMPEDE_TRY(const Bytes text, read_file("/proc/self/smaps_rollup", 64_KiB));
  const std::string_view all = as_text(text);
  const std::size_t at = all.find_first_of("0123456789", all.find("\nRss:"));
  std::uint64_t kibibytes = 0;
  std::from_chars(all.data() + at, all.data() + all.size(), kibibytes);
  return kibibytes * 1024;
}

double seconds_since(Instant start) { return std::chrono::duration<double>(system_clock().now() - start).count(); }

// That all threads have used up, in seconds: on a busy machine lookups are counted by it.
double processor_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Lookups a second of one core; every answer must be `expected`.
Result<double> rate(chunker::ChunkSink& sink, std::span<const chunker::ChunkId> ids, std::uint64_t lookups, bool expected) {
  const double start = processor_time();
  std::uint64_t found = 0;
  ids = ids.first(round_down(ids.size(), kAtOnce));
  lookups = ids.empty() ? 0 : round_down(lookups, kAtOnce);
  for (std::uint64_t i = 0; i < lookups; i += kAtOnce)
    found += static_cast<std::uint64_t>(std::ranges::count(sink.have(ids.subspan(i % ids.size(), kAtOnce)), true));
  if (found != (expected ? lookups : 0)) return fail(Code::internal, "{} of {} were found", found, lookups);
  return static_cast<double>(lookups) / (processor_time() - start);
}

Result<> measure(const std::filesystem::path& folder, std::uint64_t lookups) {
  STAMPEDE_TRY(const Bytes text, read_file(folder / "shape", 100_B));
  const std::string_view shape = as_text(text);
  std::uint64_t packs = 0, entries = 0;
  const auto end = std::from_chars(shape.begin(), shape.end(), packs);
  std::from_chars(end.ptr + 1, shape.end(), entries);

  // From all packs by turns, in the order of an image: that of the ids in no footer.
  std::vector<SeededRandom> sources;
  for (std::uint64_t i = 0; i < packs; ++i) sources.push_back(ids_of_pack(i));
  SeededRandom others(7);
  std::vector<chunker::ChunkId> known, unknown;
  for (std::size_t i = 0; i < std::min<std::uint64_t>(kSampled, packs * entries); ++i) {
    known.push_back(id_from(sources[i % packs]));
    unknown.push_back(id_from(others));
  }

  STAMPEDE_TRY(const std::uint64_t before, resident());
  const double used_up = processor_time();
  const Instant start = system_clock().now();
  STAMPEDE_TRY(const auto store, cache::Store::open(folder, system_clock()));
  const double open = seconds_since(start), opening = processor_time() - used_up;
  STAMPEDE_TRY(const std::uint64_t opened, resident());
  STAMPEDE_TRY(const auto session, store->begin_import());
  STAMPEDE_TRY(const double hits, rate(*session, known, lookups, true));
  STAMPEDE_TRY(const double misses, rate(*session, unknown, lookups, false));
  STAMPEDE_TRY(const std::uint64_t used, resident());
  const auto chunks = static_cast<double>(packs * entries);
  fmt::print("{}\n", boost::json::serialize(
                         boost::json::object{{"packs", packs},
                                             {"chunks", packs * entries},
                                             {"open_seconds", open},
                                             {"open_processor_seconds", opening},
                                             {"opened_bytes_per_chunk", static_cast<double>(opened - before) / chunks},
                                             {"used_bytes_per_chunk", static_cast<double>(used - before) / chunks},
                                             {"hits_per_second", hits},
                                             {"misses_per_second", misses}}));
  return {};
}

Result<> run(std::span<char*> arguments) {
  const auto number = [&](std::size_t i) {
    std::uint64_t value = 0;
    const std::string_view text = arguments[i];
    std::from_chars(text.begin(), text.end(), value);
    return value;
  };
  if (arguments.size() == 5 && std::string_view(arguments[1]) == "make") return make(arguments[2], number(3), number(4));
  if (arguments.size() == 4 && std::string_view(arguments[1]) == "measure") return measure(arguments[2], number(3));
  return fail(Code::usage, "bench_measure_index make STORE PACKS ENTRIES | measure STORE LOOKUPS");
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run({argv, static_cast<std::size_t>(argc)});
  if (done) return 0;
  fmt::print(stderr, "{}\n", done.error().message);
  return static_cast<int>(done.error().code);
}
