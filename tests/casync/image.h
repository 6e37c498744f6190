// An image that was packaged into memory.
#pragma once

#include <fcntl.h>

#include "src/base/file.h"
#include "tests/chunker/images.h"
#include "tests/chunker/memory_store.h"

namespace stampede::testing {

class PackagedImage {
 public:
  PackagedImage(Size size, const std::vector<Piece>& pieces) {
    write_image(file(), size, pieces);
    auto report =
        chunker::import_image(*File::open(file(), O_RDONLY), {}, *store_, {.threads = 2, .level = 1, .progress = {}});
    EXPECT_DONE(report);
    if (report) id_ = report->image;
  }
  std::filesystem::path file() const { return scratch_ / "image"; }
  const chunker::ImageId& id() const { return id_; }
  MemoryStore& store() const { return *store_; }
  Bytes bytes() const {
    auto all = read_file(file(), 1_GiB);
    EXPECT_DONE(all);
    return all ? *std::move(all) : Bytes();
  }

 private:
  Scratch scratch_;
  std::unique_ptr<MemoryStore> store_ = std::make_unique<MemoryStore>();
  chunker::ImageId id_;
};

}  // namespace stampede::testing
