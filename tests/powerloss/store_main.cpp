// Replays the log of a disk with a store on it: every flush boundary, and random states of each epoch between two. See
// --help.
#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/powerloss/crash_disk.h"
#include "tests/powerloss/store_judge.h"

namespace stampede::powerloss {
namespace {

struct Options {
  std::string log, old, images, folder;
  std::uint64_t marks = 0;
  std::size_t states = 10;
  unsigned share = 100;
  std::uint64_t seed = 1;
};

// ext4 takes it for granted that its superblock, two sectors of the first block, is written at once.
bool is_torn_superblock(const Write& write, const Landed& part) {
  return write.at < Offset{4096} && part.length != write.length;
}

class Replay {
 public:
  Replay(const Options& options, CrashDisk disk, const File& log)
      : options_(options),
        disk_(std::move(disk)),
        log_(log),
        judge_(options.images, options.folder),
        random_(options.seed) {}

  Result<> run(const std::vector<Epoch>& epochs) {
    for (std::size_t i = 0; i < epochs.size(); ++i) STAMPEDE_CHECK(run_epoch(i, epochs[i]));
    fmt::print("{} states of {} epochs, {} marks; {} images exported, {} packs recovered\n", states_, epochs.size(),
               expected_.marks(), judge_.exported(), judge_.recovered());
    if (expected_.settled() == 0) return fail(Code::usage, "no mark says that an image must be there");
    return {};
  }

 private:
  Result<> run_epoch(std::size_t index, const Epoch& epoch) {
    STAMPEDE_CHECK(expected_.take(epoch, {options_.marks}, log_));
    for (std::size_t i = 0; i < options_.states; ++i) {
      auto landed = choose_state(random_, epoch);
      std::erase_if(landed, [&](const Landed& part) { return is_torn_superblock(epoch[part.write], part); });
      if (landed.empty()) continue;  // as before the epoch
      STAMPEDE_CHECK(disk_.land(epoch, landed));
      STAMPEDE_CHECK(judge(fmt::format("epoch {}, state {}", index, i)));
      STAMPEDE_CHECK(disk_.undo());
    }
    STAMPEDE_CHECK(disk_.flush(epoch));
    return judge(fmt::format("the flush after epoch {}", index));
  }

  Result<> judge(const std::string& state) {
    if (random_.below(100) >= options_.share) return {};
    ++states_;
    const auto sound = judge_.judge(disk_.file(), expected_);
    if (sound) return {};
    // Tells what the disk holds from what something beside this did to its mount.
    const auto again = judge_.judge(disk_.file(), expected_);
    return fail(Code::internal, "{} (seed {}): {}; looked at once more: {}; it is {}", state, options_.seed,
                sound.error().message, again ? "sound" : again.error().message, disk_.path().string());
  }

  const Options& options_;
  CrashDisk disk_;
  const File& log_;
  StoreJudge judge_;
  SeededRandom random_;
  Expectations expected_;
  std::size_t states_ = 0;
};

Result<> replay(const Options& options) {
  STAMPEDE_TRY(const File log, File::open(options.log, O_RDONLY));
  STAMPEDE_TRY(const auto epochs, read_write_log(log));
  STAMPEDE_TRY(auto disk, CrashDisk::make(options.folder, options.old, log));
  return Replay(options, std::move(disk), log).run(epochs);
}

}  // namespace
}  // namespace stampede::powerloss

int main(int argc, char** argv) {
  using namespace stampede;
  powerloss::Options options;
  CLI::App app(
      "Makes the states in which a disk with a store on an ext4 file system may be when the power goes at any moment, from "
      "the log of its writes, and judges each: it mounts, the store opens and is sound, and holds what was acknowledged. "
      "Status 1 and the state in FOLDER/disk where one is not so. As root.");
  app.add_option("--log", options.log, "The log of writes (blklogwrites)")->required();
  app.add_option("--old", options.old, "The disk as it was before")->required();
  app.add_option("--images", options.images, "Folder of the files that marks speak of, and of next.img")->required();
  app.add_option("--marks", options.marks, "Byte of the disk where marks were written")->required();
  app.add_option("--folder", options.folder, "Where states are made; a memory file system is fast")->required();
  app.add_option("--states", options.states, "Random states of each epoch (10)");
  app.add_option("--share", options.share, "Judge so many percent of all states, chosen at random (100)");
  app.add_option("--seed", options.seed, "What they are chosen by (1)");
  app.footer("Example: store_states --log disk.log --old old.img --images images --marks 67043328 --folder /dev/shm/states");
  CLI11_PARSE(app, argc, argv);
  if (const auto done = powerloss::replay(options); !done) {
    fmt::print(stderr, "store_states: {}\n", done.error().message);
    return done.error().code == Code::usage ? 2 : 1;
  }
  return 0;
}
