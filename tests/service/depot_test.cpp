// A depot, its store and real deployments onto files, all in one process over loopback: so that the sanitizers see the
// whole.
#include "src/service/depot.h"

#include <thread>

#include "src/deploy/tag_signature.h"
#include "src/service/store_check.h"
#include "tests/service/depot_fixture.h"
#include "transport/net/node.h"

namespace stampede::service {
namespace {

TEST_F(DepotTest, OneTargetGetsTheImageByteForByte) {
  const Bytes image = make_image(9'000'123, 1);
  import(image, "test:1");
  const auto outcome = run(options(0, "test:1"));
  ASSERT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(content(0), image);
  EXPECT_TRUE(outcome.delivered);
  EXPECT_EQ(outcome.receipt.bytes.peers, 0U);
  EXPECT_EQ(outcome.receipt.bytes.durable, outcome.receipt.bytes.total);
  const auto receipts = store_->catalog().list_receipts();
  ASSERT_TRUE(receipts);
  ASSERT_EQ(receipts->size(), 1U);
  EXPECT_EQ(receipts->front().verdict, "success");
  EXPECT_TRUE(
      trust::verify(receipts->front().node, trust::kReceiptDomain, receipts->front().receipt, receipts->front().signature));
  std::vector<std::string> stages;
  for (const auto& stage : outcome.receipt.stages) stages.push_back(stage.name);
  EXPECT_EQ(stages, std::vector<std::string>(deploy::kStages.begin(), deploy::kStages.end()));
}

TEST_F(DepotTest, AnEmptyAndAnAllZeroImageCanBeDeployed) {
  import({}, "empty:1");
  import(Bytes(5 << 20), "zero:1");
  const auto empty = run(options(0, "empty:1"));
  EXPECT_FALSE(empty.error) << empty.error->message;
  const auto zero = run(options(1, "zero:1"));
  EXPECT_FALSE(zero.error) << zero.error->message;
  EXPECT_EQ(content(1), Bytes(5 << 20));
}

TEST_F(DepotTest, FourTargetsTradeSpans) {
  const Bytes image = make_image(40'000'000, 2);
  const auto imported = import(image, "test:1");
  std::vector<deploy::Outcome> outcomes(4);
  std::vector<std::thread> targets;
  for (int i = 0; i < 4; ++i)
    targets.emplace_back([&, i] {
      auto mine = options(i, "test:1");
      mine.serve_for.reset();
      outcomes[static_cast<std::size_t>(i)] = run(mine);
    });
  for (auto& target : targets) target.join();
  std::uint64_t from_depot = 0;
  for (int i = 0; i < 4; ++i) {
    const auto& outcome = outcomes[static_cast<std::size_t>(i)];
    ASSERT_FALSE(outcome.error) << outcome.error->message;
    EXPECT_EQ(content(i), image);
    from_depot += outcome.receipt.bytes.depot;
  }
  // At least one copy has to come from the depot; four would mean that nothing was traded.
  EXPECT_GE(from_depot, imported.report.new_sealed.bytes * 9 / 10);
  EXPECT_LT(from_depot, imported.report.new_sealed.bytes * 7 / 2);
}

TEST_F(DepotTest, ASecondRunNeedsNoTokenAndTheOneUseIsTaken) {
  import(make_image(1'000'000, 3), "test:1");
  auto first = options(0, "test:1");
  first.token = *trust::parse_token(token(std::chrono::seconds(600), 1));
  EXPECT_FALSE(run(first).error);
  auto other = options(1, "test:1");
  other.token = first.token;
  const auto refused = run(other);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, Code::token_used);
  EXPECT_FALSE(std::filesystem::exists(disk(1)));
  auto again = first;
  again.token.reset();
  again.disk = *disk::Selector::parse("file:" + disk(2).string());
  const auto second = run(again);
  EXPECT_FALSE(second.error) << second.error->message;
}

TEST_F(DepotTest, RefusesWrongAndExpiredTokens) {
  import(make_image(1'000'000, 3), "test:1");
  auto wrong = options(0, "test:1");
  wrong.token->secret[0] ^= std::byte{1};
  EXPECT_EQ(run(wrong).error->code, Code::token_invalid);
  auto expired = options(1, "test:1");
  expired.token = *trust::parse_token(token(std::chrono::seconds(-5)));
  EXPECT_EQ(run(expired).error->code, Code::token_expired);
  auto none = options(2, "test:1");
  none.token.reset();
  EXPECT_EQ(run(none).error->code, Code::token_invalid);
  auto other_site = options(3, "test:1");
  other_site.token->site[0] ^= std::byte{1};
  EXPECT_EQ(run(other_site).error->code, Code::peer_untrusted);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(std::filesystem::exists(disk(i)));
}

// A name that moves is the new image at once; the one that it was is still there by its id.
TEST_F(DepotTest, ATagThatMovesIsSeenAtOnce) {
  const Bytes old_image = make_image(1'000'000, 31), new_image = make_image(1'000'000, 32);
  const auto first = import(old_image, "test:stable");
  EXPECT_FALSE(run(options(0, "test:stable")).error);
  EXPECT_EQ(content(0), old_image);
  auto record = import(new_image, "test:2").record;
  record.name.tag = "stable";
  const auto moved = deploy::sign(record, *open_signing_key(store_->folder()));
  ASSERT_TRUE(store_->catalog().add_tag(record, moved, cache::Naming::move));
  EXPECT_FALSE(run(options(1, "test:stable")).error);
  EXPECT_EQ(content(1), new_image);
  auto exact = options(2, "test:stable");
  exact.image = *chunker::ImageRef::parse("test@" + chunker::to_string(first.report.image).substr(0, 12));
  const auto outcome = run(exact);
  EXPECT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(content(2), old_image);
  EXPECT_EQ(outcome.receipt.image, chunker::to_string(first.report.image));
  EXPECT_EQ(outcome.receipt.name, exact.image.text());
}

TEST_F(DepotTest, RefusesAForeignSignerAndAForgedRecord) {
  const auto imported = import(make_image(1'000'000, 4), "test:1");
  const auto add = [&](const char* name, const trust::PrivateKey& key, bool forge) {
    chunker::TagRecord record = imported.record;
    record.name = *chunker::ImageName::parse(name);
    auto signed_record = deploy::sign(record, key);
    if (forge) signed_record.signature[5] ^= std::byte{1};
    ASSERT_TRUE(store_->catalog().add_tag(record, signed_record));
  };
  add("foreign:1", trust::PrivateKey::generate(), false);
  add("forged:1", *open_signing_key(store_->folder()), true);
  EXPECT_EQ(run(options(0, "foreign:1")).error->code, Code::signer_unknown);
  EXPECT_EQ(run(options(1, "forged:1")).error->code, Code::signature_invalid);
  EXPECT_EQ(run(options(2, "missing:1")).error->code, Code::not_found);
  // The record of another image than the one that was asked for by its id.
  auto row = *store_->catalog().find_tag(chunker::ImageName{"test", "1"});
  auto lie = imported.record;
  lie.image.digest[0] ^= std::byte{1};
  lie.name = {"lie", "1"};
  ASSERT_TRUE(store_->catalog().add_tag(lie, *row));
  auto exact = options(3, "test:1");
  exact.image = *chunker::ImageRef::parse("lie@" + chunker::to_string(lie.image));
  EXPECT_EQ(run(exact).error->code, Code::content_altered);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(std::filesystem::exists(disk(i)));
  const auto receipts = store_->catalog().list_receipts();
  ASSERT_TRUE(receipts);
  EXPECT_EQ(receipts->size(), 4U);  // failures are told too
}

TEST_F(DepotTest, ADepotThatNeverAnswersIsUnreachable) {
  import(make_image(1'000'000, 4), "test:1");
  auto lonely = options(0, "test:1");
  depot_.reset();
  lonely.patience = std::chrono::milliseconds(600);
  const auto outcome = run(lonely);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::unreachable);
  EXPECT_FALSE(std::filesystem::exists(disk(0)));
}

TEST_F(DepotTest, ADepotThatComesLateIsWaitedFor) {
  const Bytes image = make_image(3'000'000, 5);
  import(image, "test:1");
  auto early = options(0, "test:1");
  depot_.reset();
  deploy::Outcome outcome;
  std::thread target([&] { outcome = run(early); });
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  start_depot(at_);
  target.join();
  ASSERT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(content(0), image);
}

// Holds everything, and lies.
class Liar final : public chunker::SpanSource, public chunker::SpanInbox {
 public:
  explicit Liar(std::unique_ptr<chunker::SpanSource> truth) : truth_(std::move(truth)) {}
  std::shared_ptr<const chunker::SealedSpan> span(chunker::SpanIndex index) override {
    auto altered = std::make_shared<chunker::SealedSpan>(*truth_->span(index));
    altered->bytes.data()[altered->bytes.size() / 2] ^= std::byte{1};
    ++served;
    return altered;
  }
  void deliver(chunker::SealedSpan /*span*/, chunker::Origin /*origin*/) override {}
  std::atomic<int> served = 0;

 private:
  std::unique_ptr<chunker::SpanSource> truth_;
};

TEST_F(DepotTest, APeerThatServesAlteredBytesIsDroppedAndNamed) {
  const Bytes image = make_image(12'000'000, 6);
  const auto imported = import(image, "test:1");
  auto manifest =
      std::make_shared<const chunker::Manifest>(*chunker::load_manifest(store_->chunks(), imported.report.image));
  Liar liar(cache::spans_from(manifest, store_->chunks()));
  const auto parsed = *trust::parse_token(token());
  const auto key = trust::PrivateKey::generate();
  auto identity = net::enrol(at_, parsed.site, parsed.secret, key, {std::chrono::seconds(5)});
  ASSERT_TRUE(identity) << identity.error().message;
  auto node = net::Node::start({at_, *identity, parsed.site, net::Endpoint{"127.0.0.1", 0}, {std::chrono::seconds(20)}});
  ASSERT_TRUE(node && (*node)->wait_for_depot());
  Bitmap all(manifest->root.span_count());
  for (std::uint32_t i = 0; i < all.size(); ++i) all.set(i);
  ASSERT_TRUE((*node)->join({imported.report.image, all.size(), all, 0, &liar, &liar}));
  (*node)->report({2, false, 0, 0, 0});

  const auto outcome = run(options(0, "test:1"));
  ASSERT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(content(0), image);
  EXPECT_GT(liar.served, 0);
  EXPECT_EQ(outcome.receipt.bad_peers, std::vector<std::string>{trust::to_string(key.public_key())});
}

TEST_F(DepotTest, ADamagedStoreIsNamedAndNothingIsWrittenAsIfSound) {
  const auto imported = import(make_image(2'000'000, 7), "test:1");
  for (const auto& entry : std::filesystem::directory_iterator(store_->folder() / "packs")) {
    auto file = File::open(entry.path(), 2 /* O_RDWR */);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write_at({5000}, Bytes(64, std::byte{0x55})));
  }
  const auto report = check_store(*store_, {});
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->sound());
  auto one = options(0, "test:1");
  one.patience = std::chrono::seconds(2);
  const auto outcome = run(one);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::store_damaged);
}

TEST_F(DepotTest, ADepotThatForgotANodeTakesItBackWithATokenAndOnlyThen) {
  const Bytes image = make_image(1'000'000, 22);
  import(image, "test:1");
  auto node = options(0, "test:1");
  ASSERT_FALSE(run(node).error);
  depot_.reset();
  auto fresh = cache::Store::open(folder_.path() / "restored", system_clock());
  ASSERT_TRUE(fresh);
  std::filesystem::copy(store_->folder() / "keys", (*fresh)->folder() / "keys", std::filesystem::copy_options::recursive);
  store_ = std::move(*fresh);
  start_depot(at_);
  import(image, "test:1");
  node.token.reset();
  node.disk = *disk::Selector::parse("file:" + disk(1).string());
  const auto unknown = run(node);
  ASSERT_TRUE(unknown.error);
  EXPECT_EQ(unknown.error->code, Code::peer_untrusted);
  node.token = *trust::parse_token(token());
  const auto known = run(node);
  ASSERT_FALSE(known.error) << known.error->message;
  EXPECT_EQ(content(1), image);
}

TEST_F(DepotTest, WaitingForADepotEndsWhenItIsTold) {
  std::atomic<bool> stop = false;
  auto lonely = options(0, "test:1");
  lonely.stop = &stop;
  depot_.reset();
  deploy::Outcome outcome;
  std::thread target([&] { outcome = run(lonely); });
  stop = true;
  target.join();
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code, Code::interrupted);
}

// Its spans are in memory.
class Keeper final : public chunker::SpanSource, public chunker::SpanInbox {
 public:
  explicit Keeper(std::vector<std::shared_ptr<const chunker::SealedSpan>> spans) : spans_(std::move(spans)) {}
  std::shared_ptr<const chunker::SealedSpan> span(chunker::SpanIndex index) override { return spans_[index.value]; }
  void deliver(chunker::SealedSpan /*span*/, chunker::Origin /*origin*/) override {}

 private:
  std::vector<std::shared_ptr<const chunker::SealedSpan>> spans_;
};

TEST_F(DepotTest, WhatTheStoreCannotReadComesFromAPeer) {
  const Bytes image = make_image(4'000'000, 23);
  const auto imported = import(image, "test:1");
  auto manifest =
      std::make_shared<const chunker::Manifest>(*chunker::load_manifest(store_->chunks(), imported.report.image));
  const auto source = cache::spans_from(manifest, store_->chunks());
  std::vector<std::shared_ptr<const chunker::SealedSpan>> spans;
  Bitmap all(manifest->root.span_count());
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    all.set(i);
    spans.push_back(source->span({i}));
  }
  for (const auto& entry : std::filesystem::directory_iterator(store_->folder() / "packs")) {
    auto file = File::open(entry.path(), 2 /* O_RDWR */);
    ASSERT_TRUE(file && file->write_at({5000}, Bytes(64, std::byte{0x55})));
  }
  Keeper keeper(std::move(spans));
  const auto parsed = *trust::parse_token(token());
  auto identity = net::enrol(at_, parsed.site, parsed.secret, trust::PrivateKey::generate(), {});
  ASSERT_TRUE(identity);
  auto node = net::Node::start({at_, *identity, parsed.site, net::Endpoint{"127.0.0.1", 0}, {}});
  ASSERT_TRUE(node && (*node)->wait_for_depot());
  ASSERT_TRUE((*node)->join({imported.report.image, all.size(), all, 0, &keeper, &keeper}));
  const auto outcome = run(options(0, "test:1"));
  ASSERT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(content(0), image);
}

TEST_F(DepotTest, ImportRefusesOtherContentUnderTheSameName) {
  const auto first = import(make_image(1'000'000, 8), "test:1");
  EXPECT_TRUE(first.tagged);
  EXPECT_FALSE(import(make_image(1'000'000, 8), "test:1").tagged);
  ASSERT_TRUE(replace_file(folder_.path() / "image", make_image(1'000'000, 9)));
  const auto other = import_image(*store_, folder_.path() / "image", *chunker::ImageName::parse("test:1"), {});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::tag_taken);
}

}  // namespace
}  // namespace stampede::service
