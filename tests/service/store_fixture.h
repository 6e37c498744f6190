// A new store in a folder of its own, and images that are imported into it.
#pragma once

#include <gtest/gtest.h>

#include "src/base/file.h"
#include "src/service/packaging.h"
#include "tests/scratch.h"

namespace stampede::service {

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = cache::Store::open(folder_ / "store", system_clock());
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }

  // From the file "image" in the folder.
  Result<Imported> try_import(const Bytes& image, const char* name, const PackagingOptions& options = {}) {
    const auto file = folder_ / "image";
    EXPECT_TRUE(replace_file(file, image));
    return import_image(*store_, file, *chunker::ImageName::parse(name), options);
  }
  Imported import(const Bytes& image, const char* name) {
    auto imported = try_import(image, name);
    EXPECT_TRUE(imported) << imported.error().message;
    return *std::move(imported);
  }

  Scratch folder_;
  std::unique_ptr<cache::Store> store_;
};

}  // namespace stampede::service
