// Replays a log of writes: every flush boundary, and random states of each epoch between two. See --help.
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <set>

#include "tests/powerloss/crash_disk.h"
#include "tests/powerloss/oracle.h"

namespace stampede::powerloss {
namespace {

struct Options {
  std::string log, old, complete, folder;
  std::size_t states = 100;
  std::uint64_t seed = 1;
  std::uint32_t sector = 512;
  std::size_t keep = 0;
};

using Counts = std::map<Kind, std::size_t>;

std::string text(const Counts& counts) {
  std::vector<std::string> parts;
  for (const auto& [kind, count] : counts)
    parts.push_back(fmt::format("{} {}", count, kKindNames[static_cast<std::size_t>(kind)]));
  return fmt::format("{}", fmt::join(parts, ", "));
}

class Replay {
 public:
  Replay(const Options& options, CrashDisk disk, Oracle oracle)
      : options_(options), disk_(std::move(disk)), oracle_(std::move(oracle)), random_(options.seed) {}

  Result<> run(const std::vector<Epoch>& epochs) {
    // Kept ones lie evenly among all.
    every_ = options_.keep == 0 ? 0 : std::max<std::size_t>(1, epochs.size() * (options_.states + 1) / options_.keep);
    keep_next_ = every_ / 2;
    for (std::size_t i = 0; i < epochs.size(); ++i) STAMPEDE_CHECK(run_epoch(i, epochs[i]));
    fmt::print("{} states, {} distinct, {} epochs: {}\n", made_, distinct_, epochs.size(), text(counts_));
    if (last_ != Kind::complete)
      return fail(Code::internal, "the log does not end with a complete disk but an {} one",
                  kKindNames[static_cast<std::size_t>(last_)]);
    return {};
  }

 private:
  Result<> run_epoch(std::size_t index, const Epoch& epoch) {
    Counts counts;
    std::set<std::vector<std::size_t>> seen;
    Size bytes;
    for (const Write& write : epoch) bytes += write.length;
    for (std::size_t i = 0; i < options_.states; ++i) {
      const auto landed = choose_state(random_, epoch, Size{options_.sector});
      ++made_;
      std::vector<std::size_t> key;
      for (const Landed& part : landed) key.insert(key.end(), {part.write, part.skipped.bytes, part.length.bytes});
      if (!seen.insert(std::move(key)).second) continue;
      STAMPEDE_CHECK(disk_.land(epoch, landed));
      STAMPEDE_CHECK(judge(fmt::format("epoch {}, state {}", index, i), counts));
      STAMPEDE_CHECK(disk_.undo());
    }
    STAMPEDE_CHECK(disk_.flush(epoch));
    ++made_;
    STAMPEDE_CHECK(judge(fmt::format("the flush after epoch {}", index), counts));
    fmt::print("epoch {}: {} writes, {:.1f} MiB: {}\n", index, epoch.size(), static_cast<double>(bytes.bytes) / 1048576,
               text(counts));
    return {};
  }

  Result<> judge(const std::string& state, Counts& counts) {
    auto kind = oracle_.judge(disk_.file(), disk_.path());
    if (!kind)
      return fail(Code::internal, "{} (seed {}): {}; it is {}", state, options_.seed, kind.error().message,
                  disk_.path().string());
    last_ = *kind;
    ++counts[*kind];
    ++counts_[*kind];
    ++distinct_;
    if (every_ == 0 || made_ < keep_next_) return {};
    keep_next_ += every_;
    const std::string_view name = kKindNames[static_cast<std::size_t>(*kind)];
    const auto to = std::filesystem::path(options_.folder) / fmt::format("kept-{:04}-{}.img", made_, name);
    if (std::system(fmt::format("cp --sparse=always '{}' '{}'", disk_.path().string(), to.string()).c_str()) != 0)
      return fail(Code::write_failed, "cannot keep {}", to.string());
    return {};
  }

  const Options& options_;
  CrashDisk disk_;
  Oracle oracle_;
  SeededRandom random_;
  std::size_t every_ = 0, keep_next_ = 0, made_ = 0, distinct_ = 0;
  Counts counts_;
  Kind last_ = Kind::untouched;
};

Result<> replay(const Options& options) {
  STAMPEDE_TRY(const File log, File::open(options.log, O_RDONLY));
  STAMPEDE_TRY(const auto epochs, read_write_log(log));
  if (epochs.empty()) return fail(Code::usage, "{} has no write", options.log);
  STAMPEDE_TRY(auto oracle, Oracle::make(options.old, options.complete, options.sector));
  STAMPEDE_TRY(auto disk, CrashDisk::make(options.folder, options.old, log));
  return Replay(options, std::move(disk), std::move(oracle)).run(epochs);
}

}  // namespace
}  // namespace stampede::powerloss

int main(int argc, char** argv) {
  using namespace stampede;
  powerloss::Options options;
  CLI::App app(
      "Makes the states in which a disk may be when the power goes at any moment of a deployment, from the log of its "
      "writes "
      "(dm-log-writes, blklogwrites), and judges each: the old disk, not bootable, or complete. Status 1 and the state in "
      "FOLDER/disk where one is none of these.");
  app.add_option("--log", options.log, "The log of writes")->required();
  app.add_option("--old", options.old, "The disk as it was before")->required();
  app.add_option("--complete", options.complete, "The disk as it shall be in the end")->required();
  app.add_option("--folder", options.folder, "Where states are made; a memory file system is fast")->required();
  app.add_option("--states", options.states, "Random states of each epoch (100)");
  app.add_option("--seed", options.seed, "What they are chosen by (1)");
  app.add_option("--sector", options.sector, "Bytes of the disk's sectors (512)")->check(CLI::IsMember({512, 4096}));
  app.add_option("--keep", options.keep, "Keep about as many states as FOLDER/kept-NUMBER-KIND.img (0)");
  app.footer("Example: crash_states --log disk.log --old old.img --complete new.img --folder /dev/shm/states --keep 5");
  CLI11_PARSE(app, argc, argv);
  if (const auto done = powerloss::replay(options); !done) {
    fmt::print(stderr, "crash_states: {}\n", done.error().message);
    return done.error().code == Code::usage ? 2 : 1;
  }
  return 0;
}
