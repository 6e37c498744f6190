// A process that imports is killed; what it leaves behind must be a sound store.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

// Kills its process at the n-th put.
class LethalSession final : public chunker::ChunkSink {
 public:
  LethalSession(ImportSession& session, std::uint64_t left) : session_(session), left_(left) {}
  bool has(const chunker::ChunkId& id) override { return session_.has(id); }
  Result<> put(chunker::SealedChunk chunk) override {
    if (left_-- == 0) ::raise(SIGKILL);
    return session_.put(std::move(chunk));
  }

 private:
  ImportSession& session_;
  std::uint64_t left_;
};

// Runs in the child; does not return.
[[noreturn]] void import_and_exit(const std::filesystem::path& folder, const std::filesystem::path& image,
                                  std::uint64_t puts) {
  auto store = Store::open(folder, system_clock());
  if (!store) ::_exit(2);
  auto session = (*store)->begin_import();
  if (!session) ::_exit(3);
  LethalSession lethal(**session, puts);
  if (!chunker::import_image(*File::open(image, O_RDONLY), {}, lethal, {})) ::_exit(4);
  if (!(*session)->commit()) ::_exit(5);
  ::_exit(0);
}

void expect_recovers(const Scratch& scratch) {
  const auto store = open_store(scratch / "store");
  ASSERT_TRUE(store);
  EXPECT_TRUE(files(scratch / "store", ".open").empty());
  expect_sound(*store);
  const auto report = import_into(*store, scratch / "image");
  expect_exports(*store, report.image, scratch / "image", scratch / "out");
  expect_sound(*store);
}

TEST(Crash, AKillAtAnyChunkLosesNothingThatWasCommitted) {
  std::size_t recovered = 0;
  for (const std::uint64_t puts : {0UL, 60UL, 120UL, 100'000UL}) {
    SCOPED_TRACE(puts);
    const Scratch scratch;
    write_image(scratch / "earlier", {800 * 4096}, filesystem_like(1, 800));
    write_image(scratch / "image", {4500 * 4096}, filesystem_like(2, 4500));
    const auto earlier = import_into(*open_store(scratch / "store"), scratch / "earlier");
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) import_and_exit(scratch / "store", scratch / "image", puts);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (puts < 100'000)
      EXPECT_TRUE(WIFSIGNALED(status)) << status;
    else
      EXPECT_EQ(status, 0);
    {
      const auto store = open_store(scratch / "store");
      ASSERT_TRUE(store);
      recovered += store->recovered().size();
      expect_exports(*store, earlier.image, scratch / "earlier", scratch / "out");
    }
    expect_recovers(scratch);
  }
  EXPECT_GT(recovered, 1U);
}

TEST(Crash, AKillAtAnyMomentLosesNothingThatWasCommitted) {
  SeededRandom random(77);
  const Scratch scratch;
  write_image(scratch / "image", {3000 * 4096}, filesystem_like(3, 3000));
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE(round);
    const Scratch own;
    std::filesystem::copy_file(scratch / "image", own / "image");
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) import_and_exit(own / "store", own / "image", UINT64_MAX);
    const timespec moment{0, static_cast<long>(random.below(120'000'000))};
    ::nanosleep(&moment, nullptr);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) || status == 0) << status;
    expect_recovers(own);
  }
}

// An import in one process shows in another that was there before.
TEST(Crash, AnotherProcessReadsWhatIsImported) {
  const Scratch scratch;
  write_image(scratch / "image", {1000 * 4096}, filesystem_like(4, 1000));
  const auto reader = open_store(scratch / "store");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) import_and_exit(scratch / "store", scratch / "image", UINT64_MAX);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  const auto other = open_store(scratch / "store");
  const auto report = import_into(*other, scratch / "image");
  EXPECT_EQ(report.new_chunks, 0U);
  expect_exports(*reader, report.image, scratch / "image", scratch / "out");
}

}  // namespace
}  // namespace stampede::cache
