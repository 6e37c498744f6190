#include "cache/gc.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <thread>

#include "cache/pack.h"
#include "tests/cache/gc_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

TEST(Gc, RemovesWhatNoTagNames) {
  Library library;
  const auto store = library.open();
  const auto kept = library.add(*store, "kept:1", 0);
  const auto gone = library.add(*store, "gone:1", 40);
  Library::untag(*store, "gone:1");
  const auto before = library.bytes();

  const auto said = Library::collect(*store, {.dry_run = true});
  EXPECT_EQ(library.packs(), 2U);
  EXPECT_EQ(said.removed_packs, 1U);
  const auto done = Library::collect(*store);
  EXPECT_EQ(done.removed_packs, 1U);
  EXPECT_EQ(done.repacked_packs, 0U);
  EXPECT_EQ(done.images, 1U);
  EXPECT_LT(done.live_chunks, done.chunks);
  EXPECT_EQ(done.freed, said.freed);
  EXPECT_EQ(library.bytes() + done.freed.bytes, before);
  EXPECT_EQ(library.packs(), 1U);

  EXPECT_FALSE(store->chunks().has(as_chunk(gone)));
  for (const auto* each : {store.get(), library.open().release()}) {
    library.expect_exports_of(const_cast<Store&>(*each), kept, 0);
    if (each != store.get()) delete each;
  }
  EXPECT_EQ(Library::collect(*store).freed, 0_B);
  expect_sound(*store);
}

TEST(Gc, RepacksWhatIsMostlyGarbage) {
  Library library;
  const auto store = library.open();
  library.add(*store, "first:1", 0);
  const auto second = library.add(*store, "second:1", 1);  // shares 300 blocks with the first, in the first's pack
  const auto reader = library.open();
  Library::untag(*store, "first:1");
  const auto before = library.bytes();
  EXPECT_EQ(Library::collect(*store, {.garbage = 90}).repacked_packs, 0U);
  const auto done = Library::collect(*store, {.garbage = 10});
  EXPECT_EQ(done.removed_packs, 0U);
  EXPECT_EQ(done.repacked_packs, 1U);
  EXPECT_GT(done.copied, 0_B);
  EXPECT_LT(library.bytes(), before);
  EXPECT_EQ(library.packs(), 2U);
  library.expect_exports_of(*store, second, 1);
  // Who had the old packs open reads on, and finds what is new.
  library.expect_exports_of(*reader, second, 1);
  ASSERT_DONE(reader->refresh());
  library.expect_exports_of(*reader, second, 1);
  EXPECT_TRUE(files(library.scratch / "store", ".open").empty());
  expect_sound(*store);
}

TEST(Gc, LeavesYoungPacks) {
  Library library;
  library.clock.time = system_clock().unix_time() + 60;
  const auto store = library.open();
  library.add(*store, "gone:1", 0);
  Library::untag(*store, "gone:1");
  EXPECT_EQ(Library::collect(*store).young_packs, 1U);
  EXPECT_EQ(library.packs(), 1U);
  Library::collect(*store, {.grace = std::chrono::seconds(10)});
  EXPECT_EQ(library.packs(), 0U);
}

TEST(Gc, ManySmallPacksBecomeOne) {
  Library library;
  const auto store = library.open();
  const auto image = library.add(*store, "a:1", 0);
  for (std::uint64_t seed = 0; seed < 31; ++seed) {
    library.add(*store, fmt::format("b:{}", seed), 100 + 4 * seed);
    EXPECT_EQ(Library::collect(*store).repacked_packs, seed == 30 ? 32U : 0U);
  }
  EXPECT_EQ(library.packs(), 1U);
  library.expect_exports_of(*store, image, 0);
  expect_sound(*store);
}

// What one that was killed named to go is none of a later one's concern, nor of an import's after that.
TEST(Gc, ForgetsWhatADeadOneCondemned) {
  Library library;
  const auto store = library.open();
  library.add(*store, "a:1", 0);
  const auto pack = files(library.scratch / "store", ".pack")[0];
  ASSERT_DONE(condemn(library.scratch / "store/leases", {pack.filename().string()}));
  const auto before = stamp_of(pack);
  library.add(*store, "b:1", 0);
  EXPECT_NE(stamp_of(pack)->inode, before->inode) << "it was relied on";
  Library::collect(*store);
  EXPECT_TRUE(condemned(library.scratch / "store/leases")->empty());
}

// An import may look for what is condemned just when a collection names it, or is through with it.
TEST(Gc, WhatIsCondemnedComesAndGoesWhileItIsLookedFor) {
  const Scratch folder;
  ASSERT_DONE(condemn(folder.path(), {"pack"}));
  std::jthread collections([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::filesystem::rename(folder / "condemned", folder / "aside");
      std::filesystem::rename(folder / "aside", folder / "condemned");
    }
  });
  std::size_t with = 0, without = 0;
  while (with < 20'000 || without < 20'000) {
    const auto names = condemned(folder.path());
    ASSERT_DONE(names);
    ++(names->contains("pack") ? with : without);
  }
}

// An import found everything there, and has not named it yet.
TEST(Gc, AnImportUnderWayKeepsWhatItFound) {
  Library library;
  const auto store = library.open(), other = library.open();
  library.add(*store, "a:1", 0);
  Library::untag(*store, "a:1");
  auto session = other->begin_import();
  ASSERT_DONE(session);
  const auto image = Library::put(**session, library.file_of(0));
  EXPECT_EQ(library.packs(), 1U);  // nothing was stored again
  EXPECT_CODE(Code::busy, store->collect_garbage({.wait = {}}));
  EXPECT_EQ(library.packs(), 1U);
  Library::tag(*other, "b:1", image);
  session->reset();
  EXPECT_EQ(Library::collect(*store, {.wait = {}}).removed_packs, 0U);
  library.expect_exports_of(*store, image, 0);
}

// The same, and it ends while the collection waits for it.
TEST(Gc, WhatIsTaggedWhileItWaitsIsKept) {
  Library library;
  const auto store = library.open(), other = library.open();
  library.add(*store, "a:1", 0);
  library.add(*store, "rest:1", 40);
  Library::untag(*store, "a:1");
  Library::untag(*store, "rest:1");
  auto session = other->begin_import();
  ASSERT_DONE(session);
  const auto image = Library::put(**session, library.file_of(0));
  GcOptions options;
  options.progress = [&](GcStage stage, std::uint64_t, std::uint64_t) {
    if (stage != GcStage::waiting || !*session) return;
    Library::tag(*other, "b:1", image);
    session->reset();
  };
  const auto done = Library::collect(*store, options);
  EXPECT_EQ(done.removed_packs, 1U);
  EXPECT_EQ(done.images, 1U);
  library.expect_exports_of(*store, image, 0);
}

// An import that begins after packs were named to go: it stores their chunks anew, here as a pack of the very same name.
TEST(Gc, AnImportThatBeginsLaterDoesNotRelyOnWhatGoes) {
  for (const GcStage at : {GcStage::waiting, GcStage::copying}) {
    SCOPED_TRACE(name_of(at));
    Library library;
    const auto store = library.open(), other = library.open();
    library.add(*store, "first:1", 0);
    library.add(*store, "second:1", 1);
    library.add(*store, "third:1", 40);
    Library::untag(*store, "first:1");
    Library::untag(*store, "third:1");
    chunker::ImageId image, third;
    GcOptions options{.garbage = 10};
    options.progress = [&](GcStage stage, std::uint64_t, std::uint64_t) {
      if (stage != at || image != chunker::ImageId{}) return;
      image = library.add(*other, "again:1", 0);
      third = library.add(*other, "again:3", 40);
    };
    Library::collect(*store, options);
    ASSERT_NE(third, chunker::ImageId{});
    for (auto* each : {store.get(), other.get()}) {
      library.expect_exports_of(*each, image, 0);
      library.expect_exports_of(*each, third, 40);
    }
    Library::collect(*store, options);
    library.expect_exports_of(*store, image, 0);
    library.expect_exports_of(*store, third, 40);
    expect_sound(*store);
  }
}

TEST(Gc, ALeasedImageIsKept) {
  Library library;
  const auto store = library.open(), other = library.open();
  const auto image = library.add(*store, "a:1", 0);
  {
    const auto lease = other->lease(image);
    ASSERT_DONE(lease);
    Library::untag(*store, "a:1");
    EXPECT_EQ(Library::collect(*store).images, 1U);
    library.expect_exports_of(*store, image, 0);
  }
  EXPECT_EQ(Library::collect(*store).removed_packs, 1U);
  // Of one that is not there it keeps nothing and harms nobody.
  const auto lease = other->lease(image);
  ASSERT_DONE(lease);
  EXPECT_EQ(Library::collect(*store).images, 0U);
}

TEST(Gc, LeasesEndWithTheirProcess) {
  Library library;
  const auto store = library.open();
  library.add(*store, "a:1", 0);
  Library::untag(*store, "a:1");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto own = Store::open(library.scratch / "store", system_clock());
    const auto session = (*own)->begin_import();
    const auto lease = (*own)->lease({id_of(1).digest});
    ::raise(session && lease ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(Library::collect(*store, {.wait = {}}).removed_packs, 1U);
  const auto leases = live_leases(library.scratch / "store/leases");
  ASSERT_DONE(leases);
  EXPECT_TRUE(leases->imports.empty() && leases->images.empty());
}

TEST(Gc, OneAtATime) {
  Library library;
  const auto store = library.open(), other = library.open();
  library.add(*store, "a:1", 0);
  bool tried = false;
  GcOptions options;
  options.progress = [&](GcStage, std::uint64_t, std::uint64_t) {
    tried = true;
    EXPECT_CODE(Code::busy, other->collect_garbage({}));
  };
  Library::collect(*store, options);
  EXPECT_TRUE(tried);
}

// Interrupted or killed anywhere, what it leaves is whole, and the next one ends the work.
TEST(Gc, MayEndAnywhere) {
  for (int kill = 0; kill < 2; ++kill) {
    int asked = 0, ended = 0;
    for (int at = 0; ended == 0; at = at * 3 / 2 + 1) {
      SCOPED_TRACE(at);
      Library library;
      const auto store = library.open();
      library.add(*store, "first:1", 0);
      const auto second = library.add(*store, "second:1", 1);
      library.add(*store, "third:1", 40);
      Library::untag(*store, "first:1");
      Library::untag(*store, "third:1");
      GcOptions options{.garbage = 10};
      asked = 0;
      options.interrupted = [&] { return asked++ == at; };
      if (kill == 0) {
        const auto done = store->collect_garbage(options);
        if (done) ++ended;
        if (!done) EXPECT_CODE(Code::interrupted, done);
      } else {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
          auto own = Store::open(library.scratch / "store", library.clock);
          options.interrupted = [&] { return asked++ == at && ::raise(SIGKILL) != 0; };
          ::_exit((*own)->collect_garbage(options) ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
          EXPECT_EQ(WEXITSTATUS(status), 0);
          ++ended;
        }
      }
      const auto again = library.open();
      library.expect_exports_of(*again, second, 1);
      expect_sound(*again);
      Library::collect(*again, {.grace = {}, .garbage = 1});
      const auto last = Library::collect(*again, {.grace = {}, .garbage = 1});
      EXPECT_EQ(last.live_chunks, last.chunks);
      EXPECT_TRUE(files(library.scratch / "store", ".open").empty());
      library.expect_exports_of(*again, second, 1);
    }
    EXPECT_EQ(ended, 1);
  }
}

void alter(const std::filesystem::path& pack, Offset at) {
  const auto file = File::open(pack, O_RDWR);
  ASSERT_DONE(file);
  Bytes byte(1);
  ASSERT_DONE(file->read_at(at, byte));
  ASSERT_DONE(file->write_at(at, Bytes(1, byte[0] ^ std::byte{1})));
}

TEST(Gc, WhatCannotBeReadStays) {
  Library library;
  const auto store = library.open();
  library.add(*store, "first:1", 0);
  const auto pack = files(library.scratch / "store", ".pack")[0];
  const auto second = library.add(*store, "second:1", 1);
  Library::untag(*store, "first:1");
  // A chunk that the second needs too.
  const auto manifest = chunker::load_manifest(store->chunks(), second);
  ASSERT_DONE(manifest);
  const auto entries = Pack::open(pack)->pack->entries();
  ASSERT_DONE(entries);
  const auto shared = std::ranges::find_if(*entries, [&](const PackEntry& entry) {
    return std::ranges::any_of(manifest->segments[0].records, [&](const auto& record) { return record.chunk == entry.id; });
  });
  ASSERT_NE(shared, entries->end());
  alter(pack, shared->sealed());
  const auto done = Library::collect(*store, {.garbage = 1});
  ASSERT_EQ(done.problems.size(), 1U);
  EXPECT_TRUE(done.problems[0].contains(pack.filename().string())) << done.problems[0];
  EXPECT_TRUE(std::filesystem::exists(pack));

  // With a sound copy elsewhere it may go.
  alter(pack, shared->sealed());
  const auto sound = store->chunks().get(shared->id);
  ASSERT_DONE(sound);
  alter(pack, shared->sealed());
  std::filesystem::rename(pack, library.scratch / "aside");
  put_all(*store, {*sound});
  std::filesystem::rename(library.scratch / "aside", pack);
  EXPECT_TRUE(Library::collect(*store, {.garbage = 1}).problems.empty());
  EXPECT_FALSE(std::filesystem::exists(pack));
  library.expect_exports_of(*store, second, 1);
}

// What an image needs that cannot be read is not known: nothing goes.
TEST(Gc, RefusesWhereAManifestIsDamaged) {
  Library library;
  const auto store = library.open();
  const auto image = library.add(*store, "a:1", 0);
  library.add(*store, "b:1", 40);
  Library::untag(*store, "b:1");
  for (const auto& path : files(library.scratch / "store", ".pack"))
    for (const auto& entry : *Pack::open(path)->pack->entries())
      if (entry.id == as_chunk(image)) alter(path, entry.sealed());
  const auto done = store->collect_garbage({});
  EXPECT_CODE(Code::store_damaged, done);
  EXPECT_TRUE(done.error().message.contains(to_string(image))) << done.error().message;
  EXPECT_EQ(library.packs(), 2U);
}

// Images come, go, are leased and collected in any order: those that are named come out as they went in.
TEST(Gc, FollowsAModel) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    Library library;
    std::vector<std::unique_ptr<Store>> stores;
    for (int i = 0; i < 2; ++i) stores.push_back(library.open());
    std::map<std::string, std::pair<chunker::ImageId, std::uint64_t>> model;
    std::vector<std::tuple<std::unique_ptr<ImportSession>, chunker::ImageId, std::uint64_t>> open;
    int number = 0;
    for (int step = 0; step < 40; ++step) {
      Store& store = *stores[random.below(2)];
      const std::uint64_t content = random.below(6) + random.below(2) * 20;
      switch (random.below(6)) {
        case 0: {
          const std::string name = fmt::format("x:{}", ++number);
          model[name] = {library.add(store, name, content), content};
          break;
        }
        case 1:
          if (!model.empty()) {
            Library::untag(store, model.begin()->first);
            model.erase(model.begin());
          }
          break;
        case 2: {
          auto session = store.begin_import();
          ASSERT_DONE(session);
          const auto image = Library::put(**session, library.file_of(content));
          open.emplace_back(*std::move(session), image, content);
          break;
        }
        case 3:
          if (!open.empty()) {
            const std::string name = fmt::format("x:{}", ++number);
            const auto& [session, image, inside] = open.back();
            Library::tag(store, name, image);
            model[name] = {image, inside};
            open.pop_back();
          }
          break;
        default: {
          const auto done = store.collect_garbage({.garbage = 1 + static_cast<unsigned>(random.below(60)), .wait = {}});
          if (!done) EXPECT_CODE(Code::busy, done);
          if (open.empty()) EXPECT_DONE(done);
        }
      }
      if (!model.empty() && step % 4 == 0)
        library.expect_exports_of(store, model.rbegin()->second.first, model.rbegin()->second.second);
    }
    open.clear();
    for (const auto& [name, image] : model) library.expect_exports_of(*stores[0], image.first, image.second);
    Library::collect(*stores[1], {.garbage = 1});
    const auto last = Library::collect(*stores[0], {.garbage = 1});
    EXPECT_EQ(last.live_chunks, last.chunks);
    EXPECT_EQ(last.missing, 0U);
    for (const auto& [name, image] : model) library.expect_exports_of(*stores[1], image.first, image.second);
    expect_sound(*stores[0]);
  }
}

}  // namespace
}  // namespace stampede::cache
