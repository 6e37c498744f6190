// A store with images that come and go, for tests of its garbage collection.
#pragma once

#include <fcntl.h>

#include "tests/cache/store_fixture.h"

namespace stampede::testing {

class Library {
 public:
  // Two hours ahead: every pack is older than the grace time.
  Library() { clock.time = system_clock().unix_time() + 7200; }

  std::unique_ptr<cache::Store> open() {
    auto store = cache::Store::open(scratch / "store", clock);
    EXPECT_DONE(store);
    return store ? *std::move(store) : nullptr;
  }

  // The image of that content, as a raw file; `seed` decides what is in it, and images of near seeds share blocks.
  std::filesystem::path file_of(std::uint64_t seed) {
    const auto path = scratch / fmt::format("image-{}", seed);
    if (std::filesystem::exists(path)) return path;
    auto pieces = filesystem_like(seed / 4, 300);
    pieces.push_back({2 * 300 * 4096, random_bytes(seed, 100 * 4096)});
    write_image(path, {1000 * 4096}, pieces);
    return path;
  }

  static chunker::ImageId put(cache::ImportSession& session, const std::filesystem::path& file) {
    const auto report = chunker::import_image(*File::open(file, O_RDONLY), {}, session, {});
    EXPECT_DONE(report);
    EXPECT_DONE(session.commit());
    return report ? report->image : chunker::ImageId{};
  }
  static void tag(cache::Store& store, const std::string& name, const chunker::ImageId& image) {
    chunker::TagRecord record;
    record.name = *chunker::ImageName::parse(name);
    record.image = image;
    EXPECT_DONE(store.catalog().add_tag(record, {.record = encode(record), .signer = {}, .signature = {}}));
  }
  chunker::ImageId add(cache::Store& store, const std::string& name, std::uint64_t seed) {
    auto session = store.begin_import();
    EXPECT_DONE(session);
    const auto image = put(**session, file_of(seed));
    tag(store, name, image);
    return image;
  }
  static void untag(cache::Store& store, const std::string& name) {
    ASSERT_DONE(store.catalog().remove_tags(*chunker::ImageRef::parse(name), true, "test"));
  }

  static cache::GcReport collect(cache::Store& store, const cache::GcOptions& options = {}) {
    const auto report = store.collect_garbage(options);
    EXPECT_DONE(report);
    return report ? *report : cache::GcReport{};
  }
  void expect_exports_of(cache::Store& store, const chunker::ImageId& image, std::uint64_t seed) {
    expect_exports(store, image, file_of(seed), scratch / fmt::format("out-{}", seed));
  }
  std::size_t packs() const { return files(scratch / "store", ".pack").size(); }
  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& path : files(scratch / "store", ".pack")) sum += std::filesystem::file_size(path);
    return sum;
  }

  const Scratch scratch;
  SetClock clock;
};

}  // namespace stampede::testing
