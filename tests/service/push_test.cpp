// Images between depots: pulled into another store, and pushed into a depot.
#include "src/service/push.h"

#include <atomic>
#include <thread>

#include "src/deploy/tag_signature.h"
#include "src/service/capture.h"
#include "src/service/pull.h"
#include "src/service/store_check.h"
#include "tests/service/raw_line.h"

namespace stampede::service {
namespace {

class PushTest : public RawTest {
 protected:
  void SetUp() override {
    RawTest::SetUp();
    auto store = cache::Store::open(folder_.path() / "other", system_clock());
    ASSERT_TRUE(store) << store.error().message;
    other_ = std::move(*store);
  }

  // Of the machine with the other store.
  template <class Options>
  Options reach(const char* name, bool push) {
    Options options;
    options.image = *chunker::ImageName::parse(name);
    options.depot = at_;
    options.state = folder_.path() / "machine";
    options.token = *trust::parse_token(push ? push_token() : token());
    options.peer_listen.reset();
    options.transfer = net::Transfer::depot;
    options.patience = std::chrono::seconds(20);
    return options;
  }
  std::string push_token() {
    auto text = create_token(*store_, system_clock(), system_random(), std::chrono::seconds(600), 100, {.push = true});
    EXPECT_TRUE(text) << text.error().message;
    return *text;
  }
  // The depot's packages in the other store, and the other's signer is one of the depot's.
  Imported import_there(const Bytes& image, const char* name, bool accepted = true) {
    std::swap(store_, other_);
    Imported imported = import(image, name);
    std::swap(store_, other_);
    if (accepted) {
      EXPECT_TRUE(accept_signer(store_->folder(), open_signing_key(other_->folder())->public_key()));
    }
    return imported;
  }
  static void expect_sound(cache::Store& store) {
    const auto report = check_store(store, {});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->sound()) << (report->lines().empty() ? "" : report->lines().front());
  }
  Bytes exported(cache::Store& store, const char* name) const {
    const auto found = find_image(store, *chunker::ImageName::parse(name));
    EXPECT_TRUE(found) << found.error().message;
    if (!found) return {};
    const auto manifest = chunker::load_manifest(store.chunks(), found->record.image);
    EXPECT_TRUE(manifest && chunker::export_image(*manifest, store.chunks(), folder_.path() / "out", {}));
    auto bytes = read_file(folder_.path() / "out", 1_GiB);
    std::filesystem::remove(folder_.path() / "out");
    return bytes ? std::move(*bytes) : Bytes{};
  }

  std::unique_ptr<cache::Store> other_;
};

class PullTest : public PushTest {};

TEST_F(PullTest, BringsTheImageWithItsSignatureAndOnlyWhatIsLacking) {
  const Bytes image = make_image(9'000'123, 1);
  const auto imported = import(image, "test:1");
  auto options = reach<PullOptions>("test:1", false);
  const auto first = pull_image(*other_, options);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(first->tagged);
  EXPECT_EQ(first->lacking, first->data);
  EXPECT_EQ(exported(*other_, "test:1"), image);
  const auto signer = open_signing_key(store_->folder())->public_key();
  EXPECT_EQ(first->new_signer, signer);
  EXPECT_EQ(find_image(*other_, options.image)->signed_record.signer, signer);
  expect_sound(*other_);

  Bytes next = image;
  SeededRandom(9).fill(MutableBytes(next).subspan(1 << 20, 200'000));
  import(next, "test:2");
  options.image = *chunker::ImageName::parse("test:2");
  options.token.reset();
  const auto second = pull_image(*other_, options);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_GT(second->lacking.bytes, 0U);
  EXPECT_LT(second->fetched.bytes, imported.report.new_sealed.bytes / 4);
  EXPECT_FALSE(second->new_signer);
  EXPECT_EQ(exported(*other_, "test:2"), next);
  const auto again = pull_image(*other_, options);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(again->tagged);
  EXPECT_EQ(again->fetched.bytes, 0U);
  expect_sound(*other_);
}

TEST_F(PullTest, ATakenNameIsRefusedAndAnotherOneIsSignedHere) {
  import(make_image(2'000'000, 2), "test:1");
  const Bytes mine = make_image(2'000'000, 3);
  import_there(mine, "test:1", false);
  auto options = reach<PullOptions>("test:1", false);
  const auto refused = pull_image(*other_, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::tag_taken);
  options.as = *chunker::ImageName::parse("theirs:1");
  const auto pulled = pull_image(*other_, options);
  ASSERT_TRUE(pulled) << pulled.error().message;
  EXPECT_EQ(exported(*other_, "theirs:1"), make_image(2'000'000, 2));
  EXPECT_EQ(find_image(*other_, *options.as)->signed_record.signer, open_signing_key(other_->folder())->public_key());
  EXPECT_EQ(exported(*other_, "test:1"), mine);
  options.as.reset();
  options.move = true;
  ASSERT_TRUE(pull_image(*other_, options));
  EXPECT_EQ(exported(*other_, "test:1"), make_image(2'000'000, 2));
  expect_sound(*other_);
}

TEST_F(PullTest, AForeignSignerIsRefusedUnlessHeIsNamed) {
  const auto imported = import(make_image(1'000'000, 4), "test:1");
  const auto key = trust::PrivateKey::generate();
  chunker::TagRecord record = imported.record;
  record.name = *chunker::ImageName::parse("foreign:1");
  ASSERT_TRUE(store_->catalog().add_tag(record, deploy::sign(record, key)));
  auto options = reach<PullOptions>("foreign:1", false);
  const auto refused = pull_image(*other_, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::signer_unknown);
  EXPECT_FALSE(*other_->catalog().find_tag(options.image));
  options.accept.push_back(key.public_key());
  const auto accepted = pull_image(*other_, options);
  ASSERT_TRUE(accepted) << accepted.error().message;
  EXPECT_EQ(accepted->new_signer, key.public_key());
  expect_sound(*other_);
}

TEST_F(PullTest, WhatWasPackedStaysWhereItWasInterrupted) {
  const Bytes image = make_image(60'000'000, 5);
  import(image, "test:1");
  std::atomic<bool> stop = false;
  auto options = reach<PullOptions>("test:1", false);
  options.stop = &stop;
  options.progress = [&](Size done, Size) { stop = stop || done.bytes > 0; };
  const auto cut = pull_image(*other_, options);
  if (cut) GTEST_SKIP() << "it was done before it could be interrupted";
  EXPECT_EQ(cut.error().code, Code::interrupted);
  EXPECT_FALSE(*other_->catalog().find_tag(options.image));
  stop = false;
  options.progress = [](Size, Size) {};
  const auto rest = pull_image(*other_, options);
  ASSERT_TRUE(rest) << rest.error().message;
  EXPECT_LT(rest->lacking, rest->data);
  EXPECT_EQ(exported(*other_, "test:1"), image);
  expect_sound(*other_);
}

TEST_F(PushTest, BringsAnImageThatCanBeDeployedAndSendsWhatIsLacking) {
  const Bytes image = make_image(9'000'123, 6);
  const auto imported = import_there(image, "pushed:1");
  auto options = reach<PushOptions>("pushed:1", true);
  const auto pushed = push_image(*other_, options);
  ASSERT_TRUE(pushed) << pushed.error().message;
  // With segments and the root.
  EXPECT_GE(pushed->sent.bytes, imported.report.new_sealed.bytes);
  EXPECT_LT(pushed->sent.bytes, imported.report.new_sealed.bytes + 300'000);
  EXPECT_EQ(exported(*store_, "pushed:1"), image);
  const auto outcome = run(this->options(0, "pushed:1"));
  ASSERT_FALSE(outcome.error) << outcome.error->message;
  EXPECT_EQ(content(0), image);

  Bytes next = image;
  SeededRandom(9).fill(MutableBytes(next).subspan(1 << 20, 200'000));
  import_there(next, "pushed:2");
  options.image = *chunker::ImageName::parse("pushed:2");
  const auto second = push_image(*other_, options);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_LT(second->sent.bytes, imported.report.new_sealed.bytes / 4);
  const auto again = push_image(*other_, options);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->sent.bytes, 0U);
  expect_sound(*store_);
}

TEST_F(PushTest, IsRefusedWithoutPermissionASignerOrTheName) {
  import_there(make_image(1'000'000, 7), "pushed:1", false);
  auto options = reach<PushOptions>("pushed:1", false);
  EXPECT_EQ(push_image(*other_, options).error().code, Code::not_permitted);
  // The machine is enrolled by now; what another token grants counts all the same.
  options.token = *trust::parse_token(push_token());
  EXPECT_EQ(push_image(*other_, options).error().code, Code::signer_unknown);
  EXPECT_FALSE(*store_->catalog().find_tag(options.image));
  ASSERT_TRUE(accept_signer(store_->folder(), open_signing_key(other_->folder())->public_key()));
  import(make_image(1'000'000, 8), "pushed:1");
  EXPECT_EQ(push_image(*other_, options).error().code, Code::tag_taken);
  EXPECT_EQ(exported(*store_, "pushed:1"), make_image(1'000'000, 8));
  options.move = true;
  const auto moved = push_image(*other_, options);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(exported(*store_, "pushed:1"), make_image(1'000'000, 7));
  EXPECT_EQ(store_->catalog().tag_history(options.image)->size(), 2U);
  expect_sound(*store_);
}

TEST_F(PushTest, GoesOnWithADepotThatWasRestarted) {
  const Bytes image = make_image(60'000'000, 9);
  import_there(image, "pushed:1");
  auto options = reach<PushOptions>("pushed:1", true);
  std::atomic<bool> begun = false, over = false;
  options.progress = [&](Size done, Size total) { begun = begun || done.bytes > total.bytes / 4; };
  std::thread operator_thread([&] {
    while (!begun && !over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    depot_.reset();
    start_depot(at_);
  });
  const auto pushed = push_image(*other_, options);
  over = true;
  operator_thread.join();
  ASSERT_TRUE(pushed) << pushed.error().message;
  EXPECT_EQ(exported(*store_, "pushed:1"), image);
  expect_sound(*store_);
}

TEST_F(PushTest, ADepotThatHasNoRoomSaysSo) {
  import_there(make_image(1'000'000, 10), "pushed:1");
  depot_.reset();
  auto depot = Depot::start(*store_, *site_, {at_, {}, Size{std::uint64_t{1} << 62}});
  ASSERT_TRUE(depot);
  const auto refused = push_image(*other_, reach<PushOptions>("pushed:1", true));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::no_space);
  EXPECT_NE(refused.error().message.find("the depot"), std::string::npos);
}

TEST_F(PushTest, ADiskIsCapturedAndTheDepotSignsIt) {
  const Bytes image = make_image(20'000'123, 12);
  const auto file = folder_.path() / "golden";
  ASSERT_TRUE(replace_file(file, image));
  CaptureOptions options;
  static_cast<deploy::AccessOptions&>(options) = reach<PushOptions>("golden:1", true);
  options.name = *chunker::ImageName::parse("golden:1");
  const auto captured = capture_image(file, options);
  ASSERT_TRUE(captured) << captured.error().message;
  EXPECT_GT(captured->sent.bytes, 0U);
  EXPECT_EQ(exported(*store_, "golden:1"), image);
  const auto found = find_image(*store_, options.name);
  EXPECT_EQ(found->signed_record.signer, open_signing_key(store_->folder())->public_key());
  EXPECT_NE(found->record.source.find("captured from node"), std::string::npos);
  expect_sound(*store_);
  // The name is taken now, which is said before anything is read.
  EXPECT_EQ(capture_image(folder_.path() / "nothing", options).error().code, Code::tag_taken);
  options.name = *chunker::ImageName::parse("golden:2");
  const auto again = capture_image(file, options);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->sent.bytes, 0U);
  std::filesystem::rename(store_->folder() / "keys/signing.key", folder_.path() / "away");
  options.name = *chunker::ImageName::parse("golden:3");
  EXPECT_EQ(capture_image(folder_.path() / "nothing", options).error().code, Code::signer_unknown);
}

// What a node that may push may not do.
class HostilePushTest : public PushTest {
 protected:
  void SetUp() override {
    PushTest::SetUp();
    const auto parsed = *trust::parse_token(push_token());
    auto identity = net::enrol(at_, parsed.site, parsed.secret, trust::PrivateKey::generate(), {});
    ASSERT_TRUE(identity) << identity.error().message;
    pusher_ = *identity;
  }
  std::unique_ptr<Raw> begun(bool sign = false) {
    auto raw = line(pusher_);
    EXPECT_TRUE(raw->works());
    raw->say(wire::PushStart{"bad", "1", {}, false, sign});
    EXPECT_TRUE(raw->hear<wire::PushReady>());
    return raw;
  }
  static Code told(Raw& raw) {
    const auto error = raw.hear<wire::ErrorMessage>();
    return error ? static_cast<Code>(error->code) : Code::internal;
  }
  static chunker::SealedChunk chunk(std::size_t size, std::uint64_t seed) {
    Bytes bytes(size);
    SeededRandom(seed).fill(bytes);
    chunker::Digester digester;
    return chunker::Sealer().seal(digester.name(bytes));
  }
  static wire::PushChunks frame(const chunker::SealedChunk& chunk) {
    return {{{chunk.id.digest, static_cast<std::uint8_t>(chunk.codec), chunk.plain_size,
              static_cast<std::uint32_t>(chunk.bytes.size())}},
            Buffer(ByteView(chunk.bytes))};
  }

  std::optional<net::Identity> pusher_;
};

TEST_F(HostilePushTest, NobodyPushesWhoMayNot) {
  const auto raw = line(enrolled());
  ASSERT_TRUE(raw->works());
  raw->say(wire::PushStart{"bad", "1", {}, true, true});
  EXPECT_EQ(told(*raw), Code::not_permitted);
  raw->say(wire::PushOffer{});
  EXPECT_EQ(told(*raw), Code::not_found);
  raw->say(frame(chunk(4096, 1)));
  EXPECT_EQ(told(*raw), Code::not_found);
  EXPECT_FALSE(store_->chunks().has(chunk(4096, 1).id));
}

TEST_F(HostilePushTest, AChunkThatNobodyOfferedEndsTheLine) {
  const auto raw = begun();
  raw->say(frame(chunk(4096, 1)));
  EXPECT_EQ(told(*raw), Code::protocol);
  EXPECT_TRUE(raw->ends());
  EXPECT_FALSE(store_->chunks().has(chunk(4096, 1).id));
}

TEST_F(HostilePushTest, AlteredBytesEndTheLineAndWhatCameBeforeIsKept) {
  const auto raw = begun();
  const auto good = chunk(20000, 1), bad = chunk(20000, 2), bomb = chunk(4096, 3);
  raw->say(wire::PushOffer{{good.id.digest, bad.id.digest, bomb.id.digest}});
  const auto lacks = raw->hear<wire::PushLacks>();
  ASSERT_TRUE(lacks);
  EXPECT_EQ(to_hex(lacks->lacks), "07");
  raw->say(frame(good));
  const auto kept = raw->hear<wire::PushKept>();
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->chunks, 1U);
  // A length that its bytes do not have.
  auto longer = frame(bomb);
  longer.parts[0].codec = 1;
  longer.parts[0].plain_size = 1 << 20;
  auto altered = frame(bad);
  altered.bytes.data()[100] ^= std::byte{1};
  raw->say(altered);
  EXPECT_EQ(told(*raw), Code::content_altered);
  EXPECT_TRUE(raw->ends());
  const auto other = begun();
  other->say(wire::PushOffer{{good.id.digest, bad.id.digest, bomb.id.digest}});
  const auto left = other->hear<wire::PushLacks>();
  ASSERT_TRUE(left);
  EXPECT_EQ(to_hex(left->lacks), "06");
  other->say(longer);
  EXPECT_EQ(told(*other), Code::content_altered);
  EXPECT_TRUE(other->ends());
  expect_sound(*store_);
}

TEST_F(HostilePushTest, OffersWithoutEndAreCutOff) {
  const auto raw = begun();
  SeededRandom random(1);
  std::size_t answered = 0;
  for (std::size_t i = 0; i <= kMaxOffered / wire::kMaxOffer; ++i) {
    wire::PushOffer offer{std::vector<wire::Digest>(wire::kMaxOffer)};
    for (auto& id : offer.ids) random.fill(id);
    raw->say(offer);
    if (!raw->hear<wire::PushLacks>()) break;
    ++answered;
  }
  EXPECT_EQ(answered, kMaxOffered / wire::kMaxOffer);
  EXPECT_EQ(told(*raw), Code::protocol);
}

TEST_F(HostilePushTest, AnImageThatIsNotWholeGetsNoName) {
  const auto imported = import_there(make_image(2'000'000, 11), "bad:1");
  const auto found = find_image(*other_, *chunker::ImageName::parse("bad:1"));
  ASSERT_TRUE(found);
  const wire::PushEnd end{found->signed_record.record, found->signed_record.signer, found->signed_record.signature};
  const auto none = begun();
  none->say(end);
  EXPECT_EQ(told(*none), Code::not_found);
  // All of the manifest, and no chunk.
  const auto records = begun();
  const auto manifest = *chunker::load_manifest(other_->chunks(), imported.report.image);
  std::vector<chunker::ChunkId> ids{chunker::as_chunk(manifest.id)};
  for (const auto& segment : manifest.root.segments) ids.push_back(segment.id);
  for (const auto& id : ids) {
    records->say(wire::PushOffer{{id.digest}});
    ASSERT_TRUE(records->hear<wire::PushLacks>());
    records->say(frame(*other_->chunks().get(id)));
    ASSERT_TRUE(records->hear<wire::PushKept>());
  }
  records->say(end);
  EXPECT_EQ(told(*records), Code::store_damaged);
  // Signed by nobody.
  auto forged = end;
  forged.signature[3] ^= std::byte{1};
  const auto liar = begun();
  liar->say(forged);
  EXPECT_EQ(told(*liar), Code::signature_invalid);
  EXPECT_FALSE(*store_->catalog().find_tag(*chunker::ImageName::parse("bad:1")));
  expect_sound(*store_);
}

TEST_F(HostilePushTest, OnlySoManyPushAtOnce) {
  std::vector<std::unique_ptr<Raw>> lines;
  for (std::size_t i = 0; i < kMaxPushes; ++i) lines.push_back(begun());
  const auto parsed = *trust::parse_token(push_token());
  const auto another = net::enrol(at_, parsed.site, parsed.secret, trust::PrivateKey::generate(), {});
  ASSERT_TRUE(another);
  const auto late = line(*another);
  ASSERT_TRUE(late->works());
  late->say(wire::PushStart{"late", "1", {}, false, true});
  EXPECT_EQ(told(*late), Code::busy);
  lines.pop_back();
  for (int i = 0; i < 200; ++i) {
    late->say(wire::PushStart{"late", "1", {}, false, true});
    if (late->hears_either<wire::PushReady, wire::ErrorMessage>()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ADD_FAILURE() << "the place of a line that ended is not free again";
}

}  // namespace
}  // namespace stampede::service
