// A store in a scratch folder, and chunks to put into it.
#pragma once

#include <algorithm>

#include "cache/store.h"
#include "chunker/seal.h"
#include "tests/chunker/images.h"

namespace stampede::testing {

class SetClock final : public Clock {
 public:
  Instant now() override { return Instant(std::chrono::seconds(time)); }
  UnixTime unix_time() override { return time; }
  UnixTime time = 1'793'628'189;
};

inline chunker::SealedChunk seal(ByteView plain) {
  chunker::Digester digester;
  return chunker::Sealer().seal(digester.name(plain));
}

inline std::unique_ptr<cache::Store> open_store(const std::filesystem::path& folder) {
  auto store = cache::Store::open(folder, system_clock());
  EXPECT_DONE(store);
  return store ? *std::move(store) : nullptr;
}

inline void put_all(cache::Store& store, const std::vector<chunker::SealedChunk>& chunks) {
  auto session = store.begin_import();
  ASSERT_DONE(session);
  for (const auto& chunk : chunks) ASSERT_DONE((*session)->put(chunk));
  ASSERT_DONE((*session)->commit());
}

inline std::vector<chunker::SealedChunk> some_chunks(std::uint64_t seed, std::size_t count) {
  std::vector<chunker::SealedChunk> chunks;
  SeededRandom random(seed);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = 1 + random.below(20'000);
    chunks.push_back(seal(i % 3 == 0 ? random_bytes(random.number(), size) : texty_bytes(random.number(), size)));
  }
  return chunks;
}

// The files in the store's packs folder that end so.
inline std::vector<std::filesystem::path> files(const std::filesystem::path& folder, std::string_view extension) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "packs"))
    if (entry.path().extension() == extension) found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

inline chunker::ImportReport import_into(cache::Store& store, const std::filesystem::path& image) {
  auto session = store.begin_import();
  EXPECT_DONE(session);
  auto report = chunker::import_image(*File::open(image, O_RDONLY), {}, **session, {});
  EXPECT_DONE(report);
  EXPECT_DONE((*session)->commit());
  return report ? *report : chunker::ImportReport{};
}

inline void expect_exports(cache::Store& store, const chunker::ImageId& id, const std::filesystem::path& image,
                           const std::filesystem::path& out) {
  const auto manifest = chunker::load_manifest(store.chunks(), id);
  ASSERT_DONE(manifest);
  ASSERT_DONE(chunker::export_image(*manifest, store.chunks(), out, {}));
  EXPECT_TRUE(same_content(image, out));
  std::filesystem::remove(out);
}

inline void expect_sound(cache::Store& store) {
  const auto check = store.check_packs({});
  ASSERT_DONE(check);
  for (const std::string& problem : check->problems) ADD_FAILURE() << problem;
  for (const auto& bad : check->bad) ADD_FAILURE() << to_string(bad.id) << " in " << bad.pack << ": " << bad.what;
}

}  // namespace stampede::testing
