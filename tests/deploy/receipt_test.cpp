#include "src/deploy/receipt.h"

#include <gtest/gtest.h>

#include "src/base/seams.h"
#include "src/deploy/access.h"

namespace stampede::deploy {
namespace {

Receipt sample() {
  Receipt receipt;
  receipt.deployment = std::string(32, 'a');
  receipt.group = std::string(32, 'd');
  receipt.node = std::string(64, 'b');
  receipt.name = "debian:12";
  receipt.image = std::string(64, 'c');
  receipt.started = "2026-11-02T14:03:09Z";
  receipt.disk = {"serial:X", "/dev/sda", "Model \"7\"", "X", "0x5", "guid", 1ULL << 40, 4096};
  receipt.base = {"/images/base.img", true};
  receipt.bytes = {.total = 1,
                   .depot = 2,
                   .peers = 3,
                   .multicast = 4,
                   .local = 5,
                   .moved = 6,
                   .read = 7,
                   .differs = 8,
                   .verified = 9,
                   .durable = 10,
                   .served = 11};
  receipt.altered = {{7, {}}, {1ULL << 40, {std::byte{9}}}};
  receipt.fit = {.backup_moved = true,
                 .grown_partition = 2,
                 .grown_from = 9,
                 .grown_to = 10,
                 .grown_file_system = "ext4",
                 .fresh_uuids = true};
  receipt.stages = {{"connect", 0, 0.5}, {"plan", 0.5, 0.25}};
  receipt.unspecified = "discard";
  receipt.read_back = "full";
  receipt.changed_files = {"/etc/machine-id"};
  receipt.bad_peers = {"dead"};
  receipt.left_multicast = true;
  receipt.verdict = Verdict::refused;
  receipt.code = 17;
  receipt.error = "the disk is too small";
  return receipt;
}

TEST(Receipt, TellsOfItsDiskAlone) {
  const trust::PublicKey node{std::byte{7}}, other{std::byte{8}};
  Receipt receipt = sample();
  receipt.verdict = Verdict::success;
  receipt.node = trust::to_string(node);
  const disk::Disk same{.path = "/dev/sda", .serial = "X", .wwn = "0x5", .guid = "guid", .size = {1ULL << 40}};
  const auto with = [&](const auto& change) {
    disk::Disk disk = same;
    change(disk);
    return tells_of(receipt, disk, other);
  };
  EXPECT_TRUE(tells_of(receipt, same, other));
  EXPECT_TRUE(with([](auto& disk) { disk.path = "/dev/sdb"; }));
  EXPECT_FALSE(with([](auto& disk) { disk.guid = "another"; }));
  EXPECT_FALSE(with([](auto& disk) { disk.serial = "Y"; }));
  EXPECT_FALSE(with([](auto& disk) { disk.wwn = ""; }));
  EXPECT_FALSE(with([](auto& disk) { disk.size += 512_B; }));
  receipt.verdict = Verdict::failure;
  EXPECT_FALSE(tells_of(receipt, same, other));
  // Without a name of its own it is known to one node, by its path.
  receipt.verdict = Verdict::success;
  receipt.disk.serial = receipt.disk.wwn = "";
  disk::Disk nameless = same;
  nameless.serial = nameless.wwn = "";
  EXPECT_TRUE(tells_of(receipt, nameless, node));
  EXPECT_FALSE(tells_of(receipt, nameless, other));
  nameless.path = "/dev/sdb";
  EXPECT_FALSE(tells_of(receipt, nameless, node));
}

TEST(Receipt, ComesBackAsItWas) {
  const Bytes bytes = encode(sample());
  const auto back = decode_receipt(bytes);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(encode(*back), bytes);
  EXPECT_EQ(back->disk.size, 1ULL << 40);
  EXPECT_EQ(back->fit.grown_to, 10U);
  EXPECT_EQ(back->base->path, "/images/base.img");
  EXPECT_TRUE(back->base->shared);
  EXPECT_EQ(back->group, std::string(32, 'd'));
  EXPECT_EQ(back->verdict, Verdict::refused);
  EXPECT_EQ(back->unspecified, "discard");
  EXPECT_EQ(back->read_back, "full");
  EXPECT_EQ(back->bytes.moved, 6U);
  EXPECT_EQ(back->bytes.differs, 8U);
  EXPECT_EQ(back->altered, sample().altered);
  EXPECT_EQ(back->stages[1].name, "plan");
}

TEST(Receipt, AlwaysFitsAndIsPrintable) {
  Receipt receipt = sample();
  receipt.changed_files.assign(5000, "/etc/ssh/ssh_host_" + std::string(1000, '"'));
  receipt.bad_peers.assign(5000, std::string(1000, '\\'));
  receipt.error = "\033[31m\xff" + std::string(1 << 20, '"');
  receipt.disk.serial = "a\nb";
  receipt.altered->clear();
  for (std::uint64_t i = 0; i < kMostAltered; ++i) receipt.altered->push_back({i, {}});
  const Bytes bytes = encode(receipt);
  EXPECT_LT(bytes.size(), kMaxReceipt.bytes);
  const auto back = decode_receipt(bytes);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->altered, std::nullopt) << "left out where there is no room";
  EXPECT_EQ(back->disk.serial, "a?b");
  EXPECT_TRUE(back->error.starts_with("?[31m?\""));
  EXPECT_EQ(back->changed_files.size(), 101U);
  EXPECT_EQ(back->changed_files.back(), "and 4900 more");
}

TEST(Receipt, WithoutEditsAndWithManyOfThem) {
  Receipt receipt = sample();
  receipt.verdict = Verdict::drifted;
  receipt.altered.reset();
  auto back = decode_receipt(encode(receipt));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->altered, std::nullopt);
  EXPECT_EQ(back->verdict, Verdict::drifted);
  receipt.altered.emplace();
  for (std::uint64_t i = 0; i < kMostAltered; ++i) receipt.altered->push_back({i * 3, {}});
  back = decode_receipt(encode(receipt));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->altered, receipt.altered);
}

TEST(Receipt, RefusesBlocksThatAreNone) {
  for (const auto* altered : {"[[1]]", "[[1,\"aa\"]]", "[1]", "[[-1,\"\"]]", "{}", "[[2,\"D\"],[2,\"D\"]]"}) {
    std::string text = fmt::format("{{\"altered\":{}}}", altered);
    while (text.find('D') != text.npos) text.replace(text.find('D'), 1, std::string(64, 'd'));
    EXPECT_FALSE(decode_receipt(as_bytes(text))) << text;
  }
}

TEST(Receipt, RefusesWhatIsNone) {
  EXPECT_FALSE(decode_receipt(as_bytes("")));
  EXPECT_FALSE(decode_receipt(as_bytes("[]")));
  EXPECT_FALSE(decode_receipt(as_bytes(R"({"code": "seven"})")));
  EXPECT_FALSE(decode_receipt(as_bytes(R"({"stages": {}})")));
  EXPECT_FALSE(decode_receipt(as_bytes(R"({"code": 300})")));
  EXPECT_FALSE(decode_receipt(as_bytes(std::string(1000, '['))));
  EXPECT_FALSE(decode_receipt(Bytes(kMaxReceipt.bytes + 1, std::byte{' '})));
}

TEST(Receipt, SurvivesAnyDamage) {
  SeededRandom random(11);
  const Bytes whole = encode(sample());
  for (int i = 0; i < 2000; ++i) {
    Bytes damaged = whole;
    for (std::uint64_t n = 1 + random.below(4); n > 0; --n)
      damaged[random.below(damaged.size())] = static_cast<std::byte>(random.below(256));
    if (const auto decoded = decode_receipt(damaged)) EXPECT_LE(decoded->changed_files.size(), kMaxReceipt.bytes);
  }
}

}  // namespace
}  // namespace stampede::deploy
