#include "src/casync/import.h"

#include "chunker/seal.h"
#include "src/casync/chunk_files.h"
#include "src/casync/export.h"
#include "tests/casync/image.h"

namespace stampede::casync {
namespace {

using namespace stampede::testing;
namespace fs = std::filesystem;

// An index and its store, as somebody else might have made them.
class Store {
 public:
  explicit Store(Hash hash = Hash::sha256) : head_{.flags = hash == Hash::sha256 ? 0 : kFlagSha512Short} {}

  fs::path index() const { return scratch_ / "x.caibx"; }
  fs::path path_of(const Bytes& chunk) const { return folder_ / store_path(id_of(head_.hash(), chunk)); }

  void add(const Bytes& chunk) {
    end_ += Size{chunk.size()};
    encode_item(items_, end_, id_of(head_.hash(), chunk));
    ++count_;
    image_.insert(image_.end(), chunk.begin(), chunk.end());
    put(path_of(chunk), chunker::raw_frame(chunk));
  }
  static void put(const fs::path& path, ByteView bytes) {
    fs::create_directories(path.parent_path());
    const auto file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC);
    ASSERT_DONE(file);
    ASSERT_DONE(file->write_at({}, bytes));
  }
  Result<Bytes> unpacked(const ImportOptions& given = {}, std::string store = {}) {
    ByteWriter file;
    encode_head(file, head_);
    file.raw(items_.bytes());
    encode_tail(file, count_);
    put(index(), file.take());
    ImportOptions options = given;
    options.folder = scratch_.path();
    options.limits.reserve = Size{};
    STAMPEDE_TRY(const File disk, unpack_index(index().string(), std::move(store), options));
    STAMPEDE_TRY(const Size size, disk.size());
    Bytes bytes(size.bytes);
    STAMPEDE_CHECK(disk.read_at({}, bytes));
    return bytes;
  }
  const Bytes& image() const { return image_; }
  fs::path folder() const { return folder_; }

 private:
  Scratch scratch_;
  fs::path folder_ = scratch_ / "default.castr";
  Head head_;
  ByteWriter items_;
  std::uint64_t count_ = 0;
  Offset end_;
  Bytes image_;
};

void expect_image(Store& store) {
  const auto bytes = store.unpacked();
  ASSERT_DONE(bytes);
  EXPECT_TRUE(*bytes == store.image());
}

TEST(CasyncImport, TakesChunksThatEndAnywhereByBothHashes) {
  for (const Hash hash : {Hash::sha256, Hash::sha512_256}) {
    Store store(hash);
    for (std::size_t i = 1; i < 40; ++i) store.add(random_bytes(i, i * i * 97));
    for (int i = 0; i < 30; ++i) store.add(Bytes(262144));
    store.add(random_bytes(99, 12345));
    store.add(random_bytes(7, 7 * 7 * 97));
    // Nobody has to be asked for zeros.
    fs::remove(store.path_of(Bytes(262144)));
    expect_image(store);
  }
}

TEST(CasyncImport, IsMoreThanABatch) {
  Store store;
  for (std::size_t i = 0; i < 400; ++i) store.add(random_bytes(i, 200'000));
  expect_image(store);
}

TEST(CasyncImport, MayBeOfNothing) {
  Store store;
  expect_image(store);
}

TEST(CasyncImport, TakesUncompressedFiles) {
  Store store;
  for (std::size_t i = 1; i < 20; ++i) {
    const Bytes chunk = random_bytes(i, 5000);
    store.add(chunk);
    if (i % 2 == 0) continue;
    fs::remove(store.path_of(chunk));
    Store::put(store.path_of(chunk).replace_extension(), chunk);
  }
  expect_image(store);
}

TEST(CasyncImport, TakesWhatWeExport) {
  const PackagedImage image(12_MiB + 77_B, filesystem_like(5, 3072));
  const Scratch out;
  ASSERT_DONE(export_index(image.store(), image.id(), out / "x.caibx", out / "store", {.threads = 2, .progress = {}}));
  const auto disk = unpack_index(out / "x.caibx", (out / "store/").string(),
                                 {.folder = out.path(), .limits = {.reserve = Size{}}, .progress = {}, .interrupted = {}});
  ASSERT_DONE(disk);
  EXPECT_TRUE(same_content(disk->path(), image.file()));
}

TEST(CasyncImport, NamesTheChunkThatIsWrong) {
  const Bytes good = random_bytes(1, 5000), other = random_bytes(2, 5000);
  const auto message_of = [&](auto change) {
    Store store;
    store.add(good);
    change(store.path_of(good));
    const auto bytes = store.unpacked();
    EXPECT_FALSE(bytes);
    if (bytes) return std::string();
    EXPECT_NE(bytes.error().message.find(to_hex(chunker::sha256(good))), std::string::npos) << bytes.error().message;
    return fmt::format("{}: {}", name_of(bytes.error().code), bytes.error().message);
  };
  const auto expect = [](const std::string& message, std::string_view code, std::string_view text) {
    EXPECT_TRUE(message.starts_with(code)) << message;
    EXPECT_NE(message.find(text), std::string::npos) << message;
  };
  expect(message_of([](const fs::path& path) { fs::remove(path); }), "not_found", "default.castr");
  expect(message_of([&](const fs::path& path) { Store::put(path, chunker::raw_frame(other)); }), "content_altered",
         to_hex(chunker::sha256(other)));
  expect(message_of([&](const fs::path& path) { Store::put(path, chunker::raw_frame(ByteView(good).first(4999))); }),
         "content_altered", ".cacnk");
  expect(message_of([&](const fs::path& path) { Store::put(path, good); }), "content_altered", "not packed");
  expect(message_of([&](const fs::path& path) { Store::put(path, chunker::zero_frame(chunker::kMaxObject)); }),
         "content_altered", ".cacnk");
  expect(message_of([&](const fs::path& path) { Store::put(path, Bytes(200'000)); }), "usage", ".cacnk");
  expect(message_of([&](const fs::path& path) { Store::put(path, as_bytes("\x1f\x8b nothing")); }), "content_altered",
         ".cacnk");
}

// Before a chunk is asked for.
TEST(CasyncImport, RefusesADiskThatIsTooLarge) {
  Store store;
  for (int i = 0; i < 100; ++i) store.add(Bytes(262144));
  EXPECT_CODE(Code::usage, store.unpacked({.folder = {}, .limits = {.max_size = 1_MiB}, .progress = {}, .interrupted = {}}));
}

TEST(CasyncImport, IsInterrupted) {
  Store store;
  for (std::size_t i = 0; i < 100; ++i) store.add(random_bytes(i, 1000));
  EXPECT_CODE(Code::interrupted,
              store.unpacked({.folder = {}, .limits = {}, .progress = {}, .interrupted = [] { return true; }}));
}

TEST(CasyncImport, SaysThatNobodyAnswers) {
  Store store;
  store.add(random_bytes(1, 1000));
  const auto bytes = store.unpacked({}, "http://127.0.0.1:1/store");
  EXPECT_CODE(Code::unreachable, bytes);
  EXPECT_NE(bytes.error().message.find("http://127.0.0.1:1/store/"), std::string::npos) << bytes.error().message;
}

}  // namespace
}  // namespace stampede::casync
