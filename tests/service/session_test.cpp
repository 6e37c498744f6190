// What a depot says to lines that speak by hand.
#include "src/service/session.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "src/service/rescue_shelf.h"
#include "tests/service/raw_line.h"

namespace stampede::service {
namespace {

TEST_F(RawTest, AStrangerWhoPingsIsNotAnswered) {
  const auto stranger = line(std::nullopt);
  stranger->say(wire::Ping{});
  EXPECT_TRUE(stranger->ends());
  EXPECT_FALSE(stranger->hear<wire::Pong>());
}

TEST_F(RawTest, OfOneKeyTheOldestConnectionGivesWay) {
  const auto identity = enrolled();
  std::vector<std::unique_ptr<Raw>> lines;
  for (std::size_t i = 0; i <= kMaxOfAKey; ++i) {
    lines.push_back(line(identity));
    ASSERT_TRUE(lines.back()->works());
  }
  EXPECT_TRUE(lines.front()->ends());
  for (std::size_t i = 1; i < lines.size(); ++i) EXPECT_TRUE(lines[i]->works());
}

TEST_F(RawTest, ANodeThatJoinsAnewIsListedOnce) {
  const auto image = import(make_image(3'000'000, 21), "test:1").report.image;
  const auto spans = chunker::load_manifest(store_->chunks(), image)->root.span_count();
  const wire::Join join{image.digest, 7, spans, Bytes((spans + 7) / 8)};
  const auto rebooted = enrolled();
  const auto before = line(rebooted);
  ASSERT_TRUE(before->works());
  before->say(join);
  ASSERT_TRUE(before->hear<wire::Members>());
  const auto after = line(rebooted);
  ASSERT_TRUE(after->works());
  after->say(join);
  ASSERT_TRUE(after->hear<wire::Members>());
  EXPECT_TRUE(before->ends());
  const auto other = line(enrolled());
  ASSERT_TRUE(other->works());
  other->say(join);
  const auto members = other->hear<wire::Members>();
  ASSERT_TRUE(members);
  EXPECT_EQ(members->members.size(), 1U);
  EXPECT_EQ(members->active, 2U);
}

TEST_F(RawTest, AnImageIsAskedForByNameOrIdAndByNothingElse) {
  const auto image = import(make_image(1'000'000, 22), "test:1").report.image;
  const std::string id = chunker::to_string(image);
  const auto node = line(enrolled());
  ASSERT_TRUE(node->works());
  for (const auto& [name, tag] : std::vector<std::pair<std::string, std::string>>{
           {"test", "1"}, {"test", "@" + id.substr(0, 8)}, {"test", "@" + id.substr(0, 62)}, {"", "@" + id.substr(0, 20)}}) {
    node->say(wire::Resolve{name, tag});
    const auto found = node->hear<wire::TagRecordMessage>();
    ASSERT_TRUE(found) << name << tag;
    EXPECT_EQ(chunker::decode_tag_record(found->record)->image, image);
  }
  const auto refused = [&](const std::string& name, const std::string& tag) {
    node->say(wire::Resolve{name, tag});
    const auto error = node->hear<wire::ErrorMessage>();
    EXPECT_TRUE(error) << name << tag;
    return error ? static_cast<Code>(error->code) : Code{};
  };
  for (const std::string bad :
       {"..", "../1", "a/b", "/", "A", "-a", "a b", "a:b", "\xc3\xa4", "\xff", "@", "@0123abc", "@0123ABCD"})
    EXPECT_EQ(refused("test", bad), Code::usage) << bad;
  for (const std::string bad : {"", "..", "a/b", "A", "-a", "\xc3\xa4"}) EXPECT_EQ(refused(bad, "1"), Code::usage) << bad;
  EXPECT_EQ(refused("test", "2"), Code::not_found);
  EXPECT_EQ(refused("test", "@" + std::string(62, '0')), Code::not_found);
  EXPECT_EQ(refused("other", "@" + id.substr(0, 62)), Code::not_found);
}

// Its name moves between its question and its joining, and again while it is a member.
TEST_F(RawTest, ADeploymentThatHasBegunKeepsItsImage) {
  const auto old_image = import(make_image(1'000'000, 23), "test:stable").report.image;
  const auto new_image = import(make_image(1'000'000, 24), "test:2").report.image;
  const auto move_to = [&](std::string_view source) {
    const Words moving{.parent = {}, .roles = {}, .labels = {}, .move = true};
    EXPECT_TRUE(tag_image(*store_, *chunker::ImageRef::parse(source), {"test", "stable"}, moving)->changed);
  };
  const auto node = line(enrolled());
  ASSERT_TRUE(node->works());
  const auto resolved = [&] {
    node->say(wire::Resolve{"test", "stable"});
    const auto found = node->hear<wire::TagRecordMessage>();
    return found ? chunker::decode_tag_record(found->record)->image : chunker::ImageId{};
  };
  EXPECT_EQ(resolved(), old_image);
  move_to("test:2");
  EXPECT_EQ(resolved(), new_image);
  node->say(wire::Fetch{{old_image.digest}});
  const auto root = node->hear<wire::Object>();
  ASSERT_TRUE(root);
  EXPECT_EQ(root->id, old_image.digest);
  const auto spans = chunker::load_manifest(store_->chunks(), old_image)->root.span_count();
  node->say(wire::Join{old_image.digest, 7, spans, Bytes((spans + 7) / 8)});
  ASSERT_TRUE(node->hear<wire::Members>());
  ASSERT_TRUE(remove_image(*store_, *chunker::ImageRef::parse(chunker::to_string(old_image)), false));
  node->say(wire::Request{0});
  const auto data = node->hear<wire::SpanData>();
  ASSERT_TRUE(data);
  EXPECT_EQ(data->span, 0U);
}

TEST_F(RawTest, AReceiptIsOfTheNodeThatSendsItAndIsKeptOnce) {
  const auto identity = enrolled();
  const auto node = line(identity);
  ASSERT_TRUE(node->works());
  deploy::Receipt receipt;
  receipt.deployment = std::string(32, 'a');
  const auto send = [&] {
    const Bytes bytes = deploy::encode(receipt);
    node->say(wire::Receipt{bytes, identity.key.sign(trust::kReceiptDomain, bytes)});
  };
  receipt.node = trust::to_string(trust::PrivateKey::generate().public_key());
  send();
  const auto refused = node->hear<wire::ErrorMessage>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(static_cast<Code>(refused->code), Code::signature_invalid);
  receipt.node = trust::to_string(identity.key.public_key());
  send();
  const auto first = node->hear<wire::ReceiptStored>();
  send();
  const auto again = node->hear<wire::ReceiptStored>();
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->number, again->number);
  EXPECT_EQ(store_->catalog().list_receipts()->size(), 1U);
}

TEST_F(RawTest, ADiskIsKnownByTheReceiptOfASuccess) {
  const auto identity = enrolled();
  const auto node = line(identity);
  const auto report = [&](deploy::Verdict verdict, const std::string& guid) {
    deploy::Receipt receipt;
    receipt.node = trust::to_string(identity.key.public_key());
    receipt.name = "debian:12";
    receipt.image = std::string(64, 'a');
    receipt.disk.path = "/dev/sda";
    receipt.disk.serial = "S1";
    receipt.disk.guid = guid;
    receipt.disk.size = 4096;
    receipt.verdict = verdict;
    const Bytes bytes = encode(receipt);
    node->say(wire::Receipt{bytes, identity.key.sign(trust::kReceiptDomain, bytes)});
    const auto stored = node->hear<wire::ReceiptStored>();
    return stored ? stored->number : 0;
  };
  const auto ask = [&](const wire::FindReceipt& disk) {
    node->say(disk);
    return node->hear<wire::Receipt>();
  };
  const auto finds_none = [&](const wire::FindReceipt& disk) {
    node->say(disk);
    const auto error = node->hear<wire::ErrorMessage>();
    return error && error->code == static_cast<std::uint8_t>(Code::not_found);
  };
  report(deploy::Verdict::failure, "f");
  report(deploy::Verdict::success, "g");
  const auto found = ask({"g", "S1", "", "/dev/sdb", 4096});
  ASSERT_TRUE(found);
  EXPECT_EQ(deploy::decode_receipt(found->receipt)->name, "debian:12");
  EXPECT_TRUE(finds_none({"f", "S1", "", "/dev/sda", 4096}));
  EXPECT_TRUE(finds_none({"g", "S2", "", "/dev/sda", 4096}));
  EXPECT_TRUE(finds_none({"g", "S1", "", "/dev/sda", 8192}));
}

TEST_F(RawTest, RescueFilesAreKeptByNodeAndDeploymentAndNotWithoutEnd) {
  const auto identity = enrolled();
  const auto node = line(identity);
  const auto send = [&](unsigned i) {
    wire::RescueFile file{{}, Bytes(100 + i, std::byte{7})};
    file.deployment[0] = static_cast<std::byte>(i);
    node->say(file);
  };
  for (unsigned i = 0; i < kRescuesOfANode + 3; ++i) {
    send(i);
    const auto stored = node->hear<wire::RescueStored>();
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->size, 100 + i);
  }
  const auto kept = [&](unsigned i) {
    return find_rescue(store_->folder(), identity.key.public_key(), fmt::format("{:02x}{}", i, std::string(30, '0')));
  };
  const auto last = kept(kRescuesOfANode + 2);
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_EQ(last->size(), 100 + kRescuesOfANode + 2);
  EXPECT_EQ(kept(0).error().code, Code::not_found);
  for (const char* const bad : {"", "..", "zz", "00", "../../version"})
    EXPECT_EQ(find_rescue(store_->folder(), identity.key.public_key(), bad).error().code, Code::not_found) << bad;
  for (unsigned i = 0; i < kWritesAnHour; ++i) send(i);
  const auto refused = node->hear<wire::ErrorMessage>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, static_cast<std::uint8_t>(Code::busy));
}

// One listens; others have asked what the image is, or have joined, and are not ready yet.
TEST_F(RawTest, AStreamWaitsForWhoIsOnHisWay) {
  CastOptions stream;
  stream.group = {"239.77.83.11", 17441};
  stream.rate = 1e6;
  start_depot({"127.0.0.1", 0}, stream);
  const auto image = import(make_image(3'000'000, 23), "test:1").report.image;
  const auto spans = chunker::load_manifest(store_->chunks(), image)->root.span_count();
  const wire::Join join{image.digest, 7, spans, Bytes((spans + 7) / 8)};
  const auto phase = [&] {
    const auto streams = depot_->streams();
    return streams.size() == 1 && streams[0].members == 1 ? std::optional(streams[0].phase) : std::nullopt;
  };
  using Phase = net::CastStatus::Phase;
  for (const bool joins : {false, true}) {
    auto other = line(enrolled());
    ASSERT_TRUE(other->works());
    other->say(wire::Resolve{"test", "1"});
    ASSERT_TRUE(other->hear<wire::TagRecordMessage>());
    if (joins) other->say(join);
    if (joins) ASSERT_TRUE(other->hear<wire::MulticastOffer>());

    const auto first = line(enrolled());
    ASSERT_TRUE(first->works());
    first->say(join);
    ASSERT_TRUE(first->hear<wire::MulticastOffer>());
    first->say(wire::MulticastReport{});
    const Instant begun = system_clock().now();
    while (!phase()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(net::kGather / 10);
    EXPECT_EQ(phase(), Phase::waiting) << joins;
    other.reset();
    while (phase() == Phase::waiting) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_LT(system_clock().now() - begun, net::kGather) << joins << ": it went on waiting for one who had gone";
  }
}

// It claims to have lost nearly everything of every span, again and again, and settles nothing.
TEST_F(RawTest, AMemberThatReportsWithoutEndHoldsNobodyBack) {
  CastOptions stream;
  stream.group = {"239.77.83.10", 17441};
  stream.rate = 10e6;
  stream.min_members = 3;
  start_depot({"127.0.0.1", 0}, stream);
  const Bytes image = make_image(30'000'000, 22);
  const auto imported = import(image, "test:1").report;
  const std::uint32_t spans = imported.root.span_count();
  const auto attacker = line(enrolled());
  ASSERT_TRUE(attacker->works());
  attacker->say(wire::Join{imported.image.digest, 7, spans, Bytes((spans + 7) / 8)});
  ASSERT_TRUE(attacker->hear<wire::MulticastOffer>());
  wire::MulticastReport report{~std::uint64_t{0}, 60000, 60000, {}, {}};
  for (std::uint32_t i = 0; i < wire::kMaxLacks; ++i)
    report.lacks.push_back({i % spans, static_cast<std::uint8_t>(i / spans % 8), 64});

  const Instant begun = system_clock().now();
  std::vector<std::future<deploy::Outcome>> others;
  for (int i = 0; i < 3; ++i) others.push_back(std::async(std::launch::async, [&, i] { return run(options(i, "test:1")); }));
  std::atomic<bool> over = false;
  std::uint64_t reports = 0;
  std::thread flood([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    while (!over) {
      reports += attacker->say_again(report);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::vector<deploy::Outcome> outcomes;
  for (auto& other : others) outcomes.push_back(other.get());
  over = true;
  flood.join();
  const double seconds = std::chrono::duration<double>(system_clock().now() - begun).count();
  RecordProperty("milliseconds", std::to_string(static_cast<int>(seconds * 1000)));
  RecordProperty("reports", std::to_string(reports));
  EXPECT_GT(reports, 100U);
  // What the depot reads of one line, and what sockets and queues between may hold.
  EXPECT_LT(static_cast<double>(reports * 6 * report.lacks.size()), 1.2 * net::kNodeBytesPerSecond * seconds + (32 << 20));
  for (int i = 0; i < 3; ++i) {
    const auto& outcome = outcomes[static_cast<std::size_t>(i)];
    ASSERT_FALSE(outcome.error) << outcome.error->message;
    EXPECT_EQ(content(i), image);
    EXPECT_GT(outcome.receipt.bytes.multicast, imported.new_sealed.bytes / 2);
  }
}

}  // namespace
}  // namespace stampede::service
