// A depot with its store, and the options to deploy from it onto files.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "src/deploy/deployment.h"
#include "src/service/depot.h"
#include "src/service/library.h"
#include "src/service/site.h"
#include "tests/service/store_fixture.h"

namespace stampede::service {

// Half of it random in runs, some of it repeated, the rest zeros; not a multiple of 4 KiB.
inline Bytes make_image(std::size_t size, std::uint64_t seed) {
  SeededRandom random(seed);
  Bytes image(size);
  for (std::size_t at = 0; at + 300'000 < size; at += 600'000) random.fill(MutableBytes(image).subspan(at, 300'000));
  if (size > 4'000'000) std::ranges::copy(MutableBytes(image).first(1 << 20), image.begin() + (3 << 20));
  return image;
}

class DepotTest : public StoreTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(StoreTest::SetUp());
    auto site = open_site(store_->folder());
    ASSERT_TRUE(site) << site.error().message;
    site_ = std::make_unique<Site>(std::move(*site));
    ASSERT_TRUE(open_signing_key(store_->folder()));  // a token names the signers that there are
    start_depot({"127.0.0.1", 0});
  }

  void start_depot(const net::Endpoint& at, std::optional<CastOptions> multicast = {}) {
    auto depot = Depot::start(*store_, *site_, {at, std::move(multicast)});
    ASSERT_TRUE(depot) << depot.error().message;
    depot_ = std::move(*depot);
    at_ = depot_->local();
  }

  std::string token(std::chrono::seconds ttl = std::chrono::seconds(600), unsigned uses = 100) {
    auto text = create_token(*store_, system_clock(), system_random(), ttl, uses);
    EXPECT_TRUE(text) << text.error().message;
    return *text;
  }

  std::filesystem::path disk(int i) const { return folder_.path() / fmt::format("disk{}", i); }

  deploy::Options options(int i, const char* name) {
    deploy::Options options;
    options.image = *chunker::ImageName::parse(name);
    options.depot = at_;
    options.state = folder_.path() / fmt::format("node{}", i);
    options.token = *trust::parse_token(token());
    options.disk = *disk::Selector::parse("file:" + disk(i).string());
    options.peer_listen = net::Endpoint{"127.0.0.1", 0};
    options.patience = std::chrono::seconds(20);
    options.serve_for = Duration{0};
    return options;
  }

  static deploy::Outcome run(const deploy::Options& options) {
    return deploy::deploy(options, [](const deploy::Outcome&) {});
  }

  Bytes content(int i) const {
    auto bytes = read_file(disk(i), 1_GiB);
    return bytes ? std::move(*bytes) : Bytes{};
  }

  std::unique_ptr<Site> site_;
  std::unique_ptr<Depot> depot_;
  net::Endpoint at_;
};

}  // namespace stampede::service
