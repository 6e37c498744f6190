#include "transport/net/datagram.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "src/base/seams.h"

namespace stampede::net {
namespace {

const Endpoint kGroup{"239.77.83.8", 17440};

// What arrives, for the test's thread to wait for.
class Arrivals {
 public:
  bool add(MutableBytes datagram) {
    const std::lock_guard lock(mutex_);
    all_.push_back(copy(datagram));
    changed_.notify_all();
    return all_.size() < pause_at;
  }
  std::vector<Bytes> wait_for(std::size_t count, Duration limit = std::chrono::seconds(5)) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [&] { return all_.size() >= count; });
    return all_;
  }
  std::size_t pause_at = ~std::size_t{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Bytes> all_;
};

class DatagramTest : public ::testing::Test {
 protected:
  ~DatagramTest() override {
    loop_.run_and_wait([this] { receiver_.reset(); });
  }
  void open(const Endpoint& group, unsigned interface) {
    loop_.run_and_wait([&] {
      auto receiver = GroupReceiver::open(loop_, group, interface, [this](MutableBytes d) { return arrivals_.add(d); });
      ASSERT_TRUE(receiver) << receiver.error().message;
      receiver_ = *std::move(receiver);
    });
    auto sender = GroupSender::open(group, interface, 1);
    ASSERT_TRUE(sender) << sender.error().message;
    sender_ = *std::move(sender);
  }
  static Bytes packets(std::size_t count, std::size_t size, std::size_t last) {
    Bytes out((count - 1) * size + last);
    SeededRandom(1).fill(out);
    return out;
  }

  Loop loop_;
  Arrivals arrivals_;
  std::unique_ptr<GroupReceiver> receiver_;
  std::unique_ptr<GroupSender> sender_;
  unsigned loopback_ = interface_of("127.0.0.1");
};

TEST_F(DatagramTest, ABatchArrivesPacketByPacket) {
  open(kGroup, loopback_);
  const Bytes batch = packets(40, 1400, 700);
  ASSERT_TRUE(sender_->send(batch, 1400));
  const auto got = arrivals_.wait_for(40);
  ASSERT_EQ(got.size(), 40U);
  Bytes all;
  for (const Bytes& each : got) all.insert(all.end(), each.begin(), each.end());
  EXPECT_EQ(all, batch);
  EXPECT_EQ(got[0].size(), 1400U);
  EXPECT_EQ(got[39].size(), 700U);
}

// The loopback has no route to groups of IPv6: packets would go nowhere, and that is known at once.
TEST_F(DatagramTest, WhereAGroupCannotBeReachedItIsSaid) {
  if (interface_of("::1") == 0) GTEST_SKIP() << "this machine has no IPv6 on its loopback";
  const auto sender = GroupSender::open({"ff12::7754", 17440}, interface_of("::1"), 1);
  ASSERT_FALSE(sender);
  EXPECT_NE(sender.error().message.find("lo: "), std::string::npos) << sender.error().message;
}

TEST_F(DatagramTest, NothingIsReadAfterTheReceiverSaysSoUntilItResumes) {
  arrivals_.pause_at = 1;
  open(kGroup, loopback_);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(sender_->send(packets(1, 100, 100), 100));
  EXPECT_EQ(arrivals_.wait_for(2, std::chrono::milliseconds(200)).size(), 1U);
  loop_.run_and_wait([this] { receiver_->resume(); });
  EXPECT_EQ(arrivals_.wait_for(2).size(), 2U);
}

TEST_F(DatagramTest, WhatIsNoGroupIsRefused) {
  EXPECT_TRUE(check_group(kGroup));
  EXPECT_TRUE(check_group({"ff02::7", 5}));
  for (const Endpoint& wrong :
       {Endpoint{"10.0.0.1", 5}, Endpoint{"239.1.1.1", 0}, Endpoint{"depot.lan", 5}, Endpoint{"", 5}}) {
    const auto checked = check_group(wrong);
    ASSERT_FALSE(checked) << wrong.text();
    EXPECT_EQ(checked.error().code, Code::usage);
  }
}

TEST_F(DatagramTest, InterfacesAreFoundByNameAndAddress) {
  ASSERT_NE(loopback_, 0U);
  EXPECT_EQ(name_of_interface(loopback_), "lo");
  EXPECT_EQ(interface_named("lo").value_or(0), loopback_);
  EXPECT_EQ(mtu_of(loopback_), 65536U);
  EXPECT_EQ(interface_of("192.0.2.77"), 0U);
  const auto wrong = interface_named("nosuch0");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("lo"), std::string::npos);
}

TEST_F(DatagramTest, AnInterfaceThatIsNotThereIsNamed) {
  const auto sender = GroupSender::open(kGroup, 9999, 1);
  ASSERT_FALSE(sender);
  EXPECT_NE(sender.error().message.find("interface 9999"), std::string::npos) << sender.error().message;
}

}  // namespace
}  // namespace stampede::net
