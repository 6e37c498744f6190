#include "cache/store.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "cache/pack.h"
#include "cache/pack_set.h"
#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

void expect_gets(Store& store, const std::vector<chunker::SealedChunk>& chunks) {
  for (const auto& chunk : chunks) {
    EXPECT_TRUE(store.chunks().has(chunk.id));
    const auto got = store.chunks().get(chunk.id);
    ASSERT_DONE(got);
    EXPECT_EQ(got->bytes, chunk.bytes);
    EXPECT_EQ(got->codec, chunk.codec);
    EXPECT_EQ(got->plain_size, chunk.plain_size);
  }
}

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

TEST(Store, IsMadeWhereThereIsNone) {
  const Scratch scratch;
  const auto store = open_store(scratch / "a/store");
  EXPECT_EQ(as_text(*read_file(scratch / "a/store/version", 1_KiB)), "stampede store 1\n");
  for (const auto* folder : {"a/store", "a/store/packs", "a/store/keys"})
    EXPECT_EQ(mode_of(scratch / folder), 0700U) << folder;
  for (const auto* file : {"a/store/version", "a/store/catalog.sqlite"}) EXPECT_EQ(mode_of(scratch / file), 0600U) << file;
  EXPECT_TRUE(store->recovered().empty());
  EXPECT_CODE(Code::not_found, store->chunks().get(id_of(1)));
}

TEST(Store, RefusesWhatItDoesNotKnow) {
  const Scratch scratch;
  ASSERT_DONE(replace_file(scratch / "something", as_bytes("x")));
  EXPECT_CODE(Code::usage, Store::open(scratch / "", system_clock()));
  (void)open_store(scratch / "store");
  const auto with_version = [&](std::string_view text) {
    EXPECT_DONE(replace_file(scratch / "store/version", as_bytes(text)));
    return Store::open(scratch / "store", system_clock());
  };
  const auto newer = with_version("stampede store 2\n");
  EXPECT_CODE(Code::store_too_new, newer);
  EXPECT_NE(newer.error().message.find((scratch / "store").string()), std::string::npos);
  EXPECT_NE(newer.error().message.find("version 2"), std::string::npos);
  for (const auto* text :
       {"", "stampede store 1", "stampede store x\n", "stampede store 0\n", "stampede store 1 \n", "store 1\n"})
    EXPECT_CODE(Code::store_damaged, with_version(text)) << text;
  EXPECT_DONE(with_version("stampede store 1\n"));
}

TEST(Store, IsMadeWhereAnotherDiedBeforeAndOnAFreshFileSystem) {
  const Scratch scratch;
  ASSERT_DONE(make_folders(scratch / "lost+found"));
  ASSERT_DONE(replace_file(scratch / "version.new-123", as_bytes("stamp")));
  EXPECT_DONE(Store::open(scratch / "", system_clock()));
}

// As a collection does it: the pack that was listed is gone, and what it held is in one that was not there yet.
TEST(Store, WhatIsInAPackThatGoesMeanwhileIsFoundWhereItIsNow) {
  const Scratch scratch;
  const auto wanted = some_chunks(3, 1);
  std::vector<std::filesystem::path> packs;
  for (std::uint64_t i = 0; i < 8; ++i) {
    auto chunks = some_chunks(10 + i, 1);
    chunks.push_back(wanted[0]);
    const auto store = scratch / fmt::format("store{}", i);
    put_all(*open_store(store), chunks);
    packs.push_back(files(store, ".pack").at(0));
  }
  const auto in_folder = [&](const std::filesystem::path& pack) { return scratch / "packs" / pack.filename(); };
  std::filesystem::create_directory(scratch / "packs");
  std::filesystem::create_hard_link(packs[0], in_folder(packs[0]));
  // One in each opening, at any time of it.
  std::atomic<unsigned> begun = 0, over = 0;
  std::jthread collections([&](const std::stop_token& stop) {
    SeededRandom random(3);
    for (std::size_t i = 0; !stop.stop_requested(); i = (i + 1) % packs.size()) {
      while (begun == over && !stop.stop_requested()) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::microseconds(random.below(200)));
      std::filesystem::create_hard_link(packs[(i + 1) % packs.size()], in_folder(packs[(i + 1) % packs.size()]));
      std::filesystem::remove(in_folder(packs[i]));
      ++over;
    }
  });
  for (int i = 0; i < 1000; ++i) {
    ++begun;
    const auto set = PackSet::open(scratch / "packs");
    ASSERT_DONE(set);
    ASSERT_TRUE((*set)->knows(wanted[0].id)) << i;
    while (begun != over) std::this_thread::yield();
  }
}

TEST(Store, KeepsWhatWasCommitted) {
  const Scratch scratch;
  const auto chunks = some_chunks(1, 100);
  put_all(*open_store(scratch / "store"), chunks);
  const auto store = open_store(scratch / "store");
  EXPECT_TRUE(store->recovered().empty());
  expect_gets(*store, chunks);
  const auto check = store->check_packs({});
  ASSERT_DONE(check);
  EXPECT_EQ(check->packs, 1U);
  EXPECT_EQ(check->chunks, 100U);
  EXPECT_TRUE(check->problems.empty());
  EXPECT_EQ(mode_of(files(scratch / "store", ".pack")[0]), 0600U);
}

TEST(Store, ASessionAnswersForItsOwnChunksAndDropsWhatIsThere) {
  const Scratch scratch;
  const auto store = open_store(scratch / "store");
  const auto chunks = some_chunks(2, 10);
  put_all(*store, {chunks[0]});
  {
    auto session = store->begin_import();
    ASSERT_DONE(session);
    EXPECT_TRUE((*session)->has(chunks[0].id));
    EXPECT_FALSE((*session)->has(chunks[1].id));
    for (int i = 0; i < 3; ++i)
      for (const auto& chunk : chunks) ASSERT_DONE((*session)->put(chunk));
    EXPECT_TRUE((*session)->has(chunks[1].id));
    EXPECT_FALSE(store->chunks().has(chunks[1].id));  // not before it is committed
    // Of what is in a pack, what the session has itself, and what nobody has; more than are looked for at once.
    const auto others = some_chunks(77, 60);
    std::vector<chunker::ChunkId> ids;
    std::vector<bool> known;
    for (const auto& other : others)
      for (const auto* const chunk : {&chunks[0], &other, &chunks[9]}) {
        ids.push_back(chunk->id);
        known.push_back(chunk != &other);
      }
    EXPECT_EQ((*session)->have(ids), known);
    ASSERT_DONE((*session)->commit());
    ASSERT_DONE((*session)->commit());  // there is nothing more to commit
  }
  const auto check = store->check_packs({});
  ASSERT_DONE(check);
  EXPECT_EQ(check->packs, 2U);
  EXPECT_EQ(check->chunks, 10U);
}

TEST(Store, ASessionThatIsNotCommittedLeavesNothing) {
  const Scratch scratch;
  const auto store = open_store(scratch / "store");
  const auto chunks = some_chunks(3, 5);
  {
    auto session = store->begin_import();
    ASSERT_DONE(session);
    for (const auto& chunk : chunks) ASSERT_DONE((*session)->put(chunk));
  }
  EXPECT_FALSE(store->chunks().has(chunks[0].id));
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "store/packs"));
}

TEST(Store, SeesWhatAnotherCommits) {
  const Scratch scratch;
  const auto reader = open_store(scratch / "store");
  const auto writer = open_store(scratch / "store");
  const auto chunks = some_chunks(4, 20);
  put_all(*writer, {chunks.begin(), chunks.begin() + 10});
  expect_gets(*reader, {chunks.begin(), chunks.begin() + 10});
  EXPECT_FALSE(reader->chunks().has(chunks[15].id));
  put_all(*writer, {chunks.begin() + 10, chunks.end()});
  expect_gets(*reader, chunks);
}

TEST(Store, ManyThreadsPutAndGetAtOnce) {
  const Scratch scratch;
  const auto store = open_store(scratch / "store");
  const auto chunks = some_chunks(5, 120);
  auto session = store->begin_import();
  ASSERT_DONE(session);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&] {
        for (const auto& chunk : chunks) EXPECT_DONE((*session)->put(chunk));
      });
    threads.emplace_back([&] {
      for (const auto& chunk : chunks) (void)store->chunks().has(chunk.id);
    });
  }
  ASSERT_DONE((*session)->commit());
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) threads.emplace_back([&] { expect_gets(*store, chunks); });
  }
  const auto check = store->check_packs({});
  ASSERT_DONE(check);
  EXPECT_EQ(check->chunks, chunks.size());
}

TEST(Store, ADamagedPackIsNamedAndTheRestGoesOn) {
  const Scratch scratch;
  const auto first = some_chunks(6, 10), second = some_chunks(7, 10);
  put_all(*open_store(scratch / "store"), first);
  const auto damaged = files(scratch / "store", ".pack")[0];
  put_all(*open_store(scratch / "store"), second);
  std::filesystem::resize_file(damaged, std::filesystem::file_size(damaged) - 1);

  const auto store = open_store(scratch / "store");
  expect_gets(*store, second);
  const auto got = store->chunks().get(first[0].id);
  EXPECT_CODE(Code::store_damaged, got);
  EXPECT_NE(got.error().message.find(damaged.filename().string()), std::string::npos);
  const auto check = store->check_packs({});
  ASSERT_DONE(check);
  ASSERT_EQ(check->problems.size(), 1U);
  EXPECT_NE(check->problems[0].find(damaged.string()), std::string::npos);

  // Putting the same chunks again heals it.
  put_all(*store, first);
  expect_gets(*store, first);
}

// Puts other bytes into the first chunk's seal.
void damage(const std::filesystem::path& pack) {
  const auto file = File::open(pack, O_RDWR);
  ASSERT_DONE(file);
  ASSERT_DONE(file->write_at({kPackHead + kRecordHead}, Bytes(1, std::byte{0x5a})));
}

std::vector<chunker::SpanChunk> span_of(const std::vector<chunker::SealedChunk>& chunks) {
  std::vector<chunker::SpanChunk> span;
  for (const auto& chunk : chunks) span.push_back({chunk.id, chunk.plain_size, {}});
  return span;
}

TEST(Store, AnOpenStoreTakesInAReplacedPack) {
  const Scratch scratch;
  const auto chunks = some_chunks(9, 10);
  put_all(*open_store(scratch / "store"), chunks);
  const auto serving = open_store(scratch / "store");
  const auto pack = files(scratch / "store", ".pack")[0];
  damage(pack);
  EXPECT_CODE(Code::store_damaged, serving->chunks().get(chunks[0].id));
  EXPECT_CODE(Code::store_damaged, serving->chunks().gather(span_of(chunks)));

  // As the message says: moved away, and imported again by another process. The new pack has the old one's name.
  std::filesystem::rename(pack, scratch / "away");
  put_all(*open_store(scratch / "store"), chunks);
  ASSERT_TRUE(std::filesystem::exists(pack));
  EXPECT_DONE(serving->chunks().gather(span_of(chunks)));
  expect_gets(*serving, chunks);
}

TEST(Store, APackThatWasRemovedIsNotThereAnyMore) {
  const Scratch scratch;
  const auto store = open_store(scratch / "store");
  const auto chunks = some_chunks(10, 5);
  put_all(*store, chunks);
  std::filesystem::remove(files(scratch / "store", ".pack")[0]);
  put_all(*store, chunks);
  EXPECT_EQ(files(scratch / "store", ".pack").size(), 1U);
  expect_gets(*store, chunks);
}

TEST(Store, AnotherSoundCopyIsTaken) {
  const Scratch scratch;
  const auto store = open_store(scratch / "store");
  const auto chunks = some_chunks(11, 10);
  put_all(*store, chunks);
  // A second pack with the first chunk and one more, as two imports at once leave it.
  const auto first = files(scratch / "store", ".pack")[0];
  std::filesystem::rename(first, scratch / "aside");
  const auto more = some_chunks(12, 1);
  put_all(*open_store(scratch / "store"), {chunks[0], more[0]});
  std::filesystem::rename(scratch / "aside", first);
  const auto reader = open_store(scratch / "store");
  expect_gets(*reader, chunks);
  for (const auto& pack : files(scratch / "store", ".pack")) {
    const auto sound = *read_file(pack, 10_MiB);
    damage(pack);
    expect_gets(*reader, chunks);
    const auto span = reader->chunks().gather(span_of(chunks));
    ASSERT_DONE(span);
    Bytes sealed;
    for (const auto& chunk : chunks) sealed.insert(sealed.end(), chunk.bytes.begin(), chunk.bytes.end());
    EXPECT_EQ(copy(span->bytes), sealed);
    ASSERT_DONE(replace_file(pack, sound));
  }
}

// A process that has no descriptor left learns so, and goes on when it has one.
TEST(Store, NoDescriptorLeftIsNoDamage) {
  const Scratch scratch;
  const auto store = open_store(scratch / "store");
  const auto chunks = some_chunks(13, 2);
  put_all(*open_store(scratch / "store"), {chunks[0]});
  const auto first = files(scratch / "store", ".pack")[0];
  put_all(*open_store(scratch / "store"), {chunks[1]});
  // One is left for the folder's listing, and after it for the pack that is opened first.
  const auto& late = files(scratch / "store", ".pack")[0] == first ? chunks[1] : chunks[0];
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit few{std::min<rlim_t>(limit.rlim_cur, 128), limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<File> taken;
  while (auto file = File::open("/dev/null", O_RDONLY)) taken.push_back(*std::move(file));
  taken.pop_back();
  const auto got = store->chunks().get(late.id);
  taken.clear();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_CODE(Code::read_failed, got);
  EXPECT_TRUE(got.error().message.contains(errno_text(EMFILE))) << got.error().message;
  expect_gets(*store, chunks);
}

TEST(Store, CheckFindsEveryDamagedChunk) {
  const Scratch scratch;
  const auto chunks = some_chunks(8, 30);
  const auto store = open_store(scratch / "store");
  put_all(*store, chunks);
  const auto path = files(scratch / "store", ".pack")[0];
  auto bytes = *read_file(path, 10_MiB);
  std::size_t at = 16;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (i % 10 == 4) bytes[at + 64] ^= std::byte{0x20};  // the seal
    if (i % 10 == 5) bytes[at + 9] ^= std::byte{0x20};   // the head
    at += 64 + chunks[i].bytes.size();
  }
  ASSERT_DONE(replace_file(path, bytes));
  Size reached, total;
  const auto check = store->check_packs({.progress = [&](Size done, Size all) { reached = done, total = all; }});
  ASSERT_DONE(check);
  EXPECT_EQ(check->bad.size(), 6U);
  EXPECT_TRUE(check->problems.empty());
  EXPECT_EQ(reached, total);
  EXPECT_EQ(total.bytes, bytes.size());
  for (const std::size_t i : {4UL, 5UL, 14UL, 15UL, 24UL, 25UL}) {
    const auto named = std::ranges::find(check->bad, chunks[i].id, &BadChunk::id);
    ASSERT_NE(named, check->bad.end()) << i;
    EXPECT_EQ(named->pack, path.filename().string());
  }
}

TEST(Store, RoundTripsImagesAndSharesTheirChunks) {
  const Scratch scratch;
  const auto store = open_store(scratch / "store");
  auto pieces = filesystem_like(20, 4000);
  write_image(scratch / "parent", {4000 * 4096}, pieces);
  pieces.push_back({123 * 4096, random_bytes(21, 4096)});
  write_image(scratch / "child", {4000 * 4096}, pieces);
  write_image(scratch / "empty", {}, {});
  const auto parent = import_into(*store, scratch / "parent");
  const auto child = import_into(*store, scratch / "child");
  const auto empty = import_into(*store, scratch / "empty");
  const auto again = import_into(*store, scratch / "parent");
  EXPECT_LT(child.new_data.bytes, 1U << 20);
  EXPECT_EQ(again.new_chunks, 0U);
  EXPECT_EQ(again.image, parent.image);
  for (const auto& other : {store.get(), open_store(scratch / "store").release()}) {
    expect_exports(*other, parent.image, scratch / "parent", scratch / "out");
    expect_exports(*other, child.image, scratch / "child", scratch / "out");
    expect_exports(*other, empty.image, scratch / "empty", scratch / "out");
    if (other != store.get()) delete other;
  }
  expect_sound(*store);
}

}  // namespace
}  // namespace stampede::cache
