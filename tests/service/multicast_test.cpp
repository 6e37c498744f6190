// Deployments from one multicast stream, over loopback.
#include <thread>

#include "src/deploy/rehearsal.h"
#include "tests/service/depot_fixture.h"
#include "transport/net/datagram.h"

namespace stampede::service {
namespace {

class MulticastTest : public DepotTest {
 protected:
  // Rates of tests that share two cores with seven others.
  static CastOptions stream(const char* group) {
    CastOptions options;
    options.group = {group, 17441};
    options.rate = 20e6;
    return options;
  }

  std::vector<deploy::Outcome> run_all(int count, const std::function<void(int, deploy::Options&)>& change = {}) {
    std::vector<deploy::Outcome> outcomes(static_cast<std::size_t>(count));
    std::vector<std::thread> targets;
    for (int i = 0; i < count; ++i)
      targets.emplace_back([&, i] {
        auto mine = options(i, "test:1");
        mine.serve_for.reset();
        mine.peer_listen->host = at_.host;
        if (change) change(i, mine);
        outcomes[static_cast<std::size_t>(i)] = run(mine);
      });
    for (auto& target : targets) target.join();
    return outcomes;
  }

  void expect_written(const std::vector<deploy::Outcome>& outcomes, const Bytes& image) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      ASSERT_FALSE(outcomes[i].error) << outcomes[i].error->message;
      EXPECT_EQ(content(static_cast<int>(i)), image);
    }
  }
};

TEST_F(MulticastTest, OneStreamIsForAll) {
  start_depot({"127.0.0.1", 0}, stream("239.77.83.9"));
  const Bytes image = make_image(40'000'000, 5);
  const auto imported = import(image, "test:1");
  const auto outcomes = run_all(4);
  expect_written(outcomes, image);
  std::uint64_t otherwise = 0;
  for (const auto& outcome : outcomes) {
    EXPECT_GT(outcome.receipt.bytes.multicast, 0U);
    otherwise += outcome.receipt.bytes.depot + outcome.receipt.bytes.peers;
  }
  EXPECT_LT(otherwise, 2 * imported.report.new_sealed.bytes) << "of four images, most comes by multicast";
}

TEST_F(MulticastTest, WhoDoesNotWantItTakesTheOtherWays) {
  start_depot({"127.0.0.1", 0}, stream("239.77.83.9"));
  const Bytes image = make_image(12'000'000, 7);
  import(image, "test:1");
  const auto outcomes = run_all(3, [](int i, deploy::Options& mine) {
    mine.transfer = i == 0 ? net::Transfer::swarm : i == 1 ? net::Transfer::depot : net::Transfer::multicast;
  });
  expect_written(outcomes, image);
  EXPECT_EQ(outcomes[0].receipt.bytes.multicast, 0U);
  EXPECT_EQ(outcomes[1].receipt.bytes.multicast + outcomes[1].receipt.bytes.peers, 0U);
  EXPECT_EQ(outcomes[2].receipt.bytes.peers, 0U);
  EXPECT_GT(outcomes[2].receipt.bytes.multicast, 0U);
}

TEST_F(MulticastTest, ARehearsalReceivesAllAndWritesNothing) {
  start_depot({"127.0.0.1", 0}, stream("239.77.83.9"));
  const Bytes image = make_image(12'000'000, 9);
  const auto imported = import(image, "test:1");
  deploy::RehearsalOptions mine;
  static_cast<deploy::AccessOptions&>(mine) = options(0, "test:1");
  mine.image = *chunker::ImageName::parse("test:1");
  Size seen;
  mine.progress = [&](const net::SwarmStatus&, Size verified, Size) { seen = verified; };
  const auto done = deploy::rehearse(mine);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->status.spans_held, imported.report.root.span_count());
  EXPECT_GT(done->status.from_multicast, 0U);
  EXPECT_GT(done->status.multicast_packets, 0U);
  EXPECT_LE(seen.bytes, done->data.bytes);
  EXPECT_FALSE(std::filesystem::exists(disk(0)));
}

TEST_F(MulticastTest, ARehearsalFailsAsADeploymentWould) {
  import(make_image(1'000'000, 9), "test:1");
  deploy::RehearsalOptions mine;
  static_cast<deploy::AccessOptions&>(mine) = options(0, "test:1");
  mine.image = *chunker::ImageName::parse("other:1");
  const auto done = deploy::rehearse(mine);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::not_found);
}

TEST_F(MulticastTest, AnInterfaceThatTargetsDoNotComeByIsNotUsed) {
  auto elsewhere = stream("239.77.83.9");
  elsewhere.interfaces = {net::interface_of("127.0.0.1") + 1000};
  start_depot({"127.0.0.1", 0}, elsewhere);
  const Bytes image = make_image(9'000'000, 8);
  import(image, "test:1");
  const auto outcomes = run_all(1);
  expect_written(outcomes, image);
  EXPECT_EQ(outcomes[0].receipt.bytes.multicast, 0U);
}

}  // namespace
}  // namespace stampede::service
