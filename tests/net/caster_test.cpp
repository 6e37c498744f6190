// A caster and its catchers on the loopback, with the lines between them left out.
#include "transport/net/caster.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "src/base/seams.h"
#include "transport/net/catcher.h"

namespace stampede::net {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSpans = 40;

class Spans final : public chunker::SpanSource {
 public:
  Spans() {
    SeededRandom random(3);
    for (std::uint32_t i = 0; i < kSpans; ++i) {
      auto span = std::make_shared<chunker::SealedSpan>();
      span->index = {i};
      span->bytes = Buffer(std::size_t{1} + random.below(1'000'000));
      random.fill(span->bytes);
      span->parts = {{chunker::Codec::raw, static_cast<std::uint32_t>(span->bytes.size())}};
      spans_.push_back(std::move(span));
    }
  }
  std::shared_ptr<const chunker::SealedSpan> span(chunker::SpanIndex index) override {
    return index.value == lost ? nullptr : spans_[index.value];
  }
  std::uint32_t lost = kSpans;

 private:
  std::vector<std::shared_ptr<const chunker::SealedSpan>> spans_;
};

class CasterTest : public ::testing::Test {
 protected:
  struct Member {
    std::unique_ptr<Catcher> catcher;
    std::map<std::uint32_t, Bytes> got;
    std::vector<std::uint32_t> stale;
    bool joined = false;
    bool quiet = false;
    bool slow = false;  // does not verify
  };

  CasterTest() { open(1, {}); }
  void open(std::uint32_t min_members, Duration wait, double rate = 60e6) {
    loop_.run_and_wait([&] {
      auto caster = Caster::open(
          loop_, {{"239.77.83.7", 17442}, loopback_, 1, rate, false, 1500, min_members, wait}, kSpans,
          [this](std::uint32_t span, const Caster::Give& give) { read(span, give); },
          [this](Caster::MemberId member, const wire::MulticastNews& news) {
            loop_.post([this, member, news] {
              if (const auto at = members_.find(member); at != members_.end() && at->second.catcher)
                at->second.catcher->news(news);
            });
          },
          [this] { return coming_; });
      if (caster) caster_ = *std::move(caster);
    });
  }
  // As a depot does it: later.
  void read(std::uint32_t span, const Caster::Give& give) {
    loop_.post([this, span, give] {
      const auto sealed = spans_.span({span});
      give(sealed ? frame_of(*sealed) : nullptr);
    });
  }
  ~CasterTest() override {
    loop_.run_and_wait([this] {
      members_.clear();
      caster_.reset();
    });
  }

  void join(Caster::MemberId id, wire::MulticastOffer offer, Bitmap have = Bitmap(kSpans)) {
    Member& member = members_[id];
    Catcher::Events events;
    events.span = [this, id](wire::SpanData data) { took(id, std::move(data)); };
    events.stale = [&member](const auto& spans) { member.stale.insert(member.stale.end(), spans.begin(), spans.end()); };
    events.quiet = [&member] { member.quiet = true; };
    events.loud = [&member] { member.quiet = false; };
    events.report = [this, id, &member, have](const wire::MulticastReport& report) {
      if (!std::exchange(member.joined, true)) caster_->joined(id, have);
      caster_->report(id, report);
    };
    auto catcher = Catcher::open(loop_, offer, loopback_, have, std::move(events));
    ASSERT_TRUE(catcher) << catcher.error().message;
    member.catcher = *std::move(catcher);
  }
  void took(Caster::MemberId id, wire::SpanData data) {
    const std::uint32_t span = data.span;
    if (sent_at_first_ == 0) sent_at_first_ = caster_->figures().data;
    members_[id].got[span] = copy(data.bytes);
    if (members_[id].slow) return;
    loop_.post([this, id, span] {
      const auto at = members_.find(id);
      if (at == members_.end() || !at->second.catcher) return;
      at->second.catcher->had(span);
      caster_->has(id, span);
    });
  }

  // Asks on the loop until it is so.
  bool eventually(const std::function<bool()>& so, Duration limit = 60s) {
    const Instant end = system_clock().now() + limit;
    while (system_clock().now() < end) {
      bool is = false;
      loop_.run_and_wait([&] { is = so(); });
      if (is) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }
  bool right(const Member& member) {
    return std::ranges::all_of(member.got, [&](const auto& each) {
      return ByteView(each.second).size() == spans_.span({each.first})->bytes.size() &&
             std::ranges::equal(ByteView(each.second), ByteView(spans_.span({each.first})->bytes));
    });
  }

  Loop loop_;
  unsigned loopback_ = interface_of("127.0.0.1");
  Spans spans_;
  std::unique_ptr<Caster> caster_;
  std::map<Caster::MemberId, Member> members_;
  bool coming_ = false;
  std::uint64_t sent_at_first_ = 0;  // symbols of data, when the first span came out at somebody
};

TEST_F(CasterTest, EveryMemberGetsEverySpanOnce) {
  loop_.run_and_wait([this] {
    for (Caster::MemberId id = 1; id <= 3; ++id) join(id, caster_->offer());
  });
  ASSERT_TRUE(eventually(
      [this] { return std::ranges::all_of(members_, [](const auto& m) { return m.second.got.size() == kSpans; }); }));
  for (auto& [id, member] : members_) EXPECT_TRUE(right(member)) << id;
  EXPECT_TRUE(eventually([this] { return members_[1].quiet; })) << "the depot says when it is over";
}

TEST_F(CasterTest, ADepotThatCannotSendAsFastAsItMayStillListens) {
  open(1, {}, 1e12);
  loop_.run_and_wait([this] {
    for (Caster::MemberId id = 1; id <= 2; ++id) join(id, caster_->offer());
  });
  const auto finished = [](const auto& m) { return m.second.got.size() + m.second.stale.size() == kSpans; };
  ASSERT_TRUE(eventually([&] { return std::ranges::all_of(members_, finished); }));
  for (auto& [id, member] : members_) EXPECT_GT(member.got.size(), kSpans / 2) << id;
  loop_.run_and_wait([this] { EXPECT_LT(sent_at_first_, caster_->figures().data / 2) << "they share a loop"; });
}

TEST_F(CasterTest, ALateMemberGetsTheRestAndIsToldToGetTheStartFromTheOther) {
  loop_.run_and_wait([this] { join(1, caster_->offer()); });
  ASSERT_TRUE(eventually([this] { return members_[1].got.size() > 5; }));
  Bitmap have(kSpans);
  have.set(0);
  loop_.run_and_wait([&] { join(2, caster_->offer(), have); });
  // Span by span, or by the word that the stream is over, whichever comes first.
  ASSERT_TRUE(
      eventually([this] { return members_[2].quiet || members_[2].got.size() + members_[2].stale.size() == kSpans - 1; }));
  EXPECT_LT(members_[2].got.size(), kSpans - 1);
  EXPECT_FALSE(members_[2].got.empty());
  EXPECT_TRUE(right(members_[2]));
  EXPECT_FALSE(members_[2].got.contains(0));
}

TEST_F(CasterTest, ASpanThatTheStoreCannotReadIsStaleAtOnce) {
  spans_.lost = 7;
  loop_.run_and_wait([this] { join(1, caster_->offer()); });
  ASSERT_TRUE(eventually([this] { return members_[1].got.size() == kSpans - 1 && members_[1].quiet; }));
  EXPECT_FALSE(members_[1].got.contains(7));
}

TEST_F(CasterTest, WithTheWrongKeyNothingIsHeard) {
  auto offer = caster_->offer();
  offer.key[0] ^= std::byte{1};
  loop_.run_and_wait([&] { join(1, offer); });
  EXPECT_TRUE(eventually([this] { return members_[1].quiet; }));
  EXPECT_TRUE(members_[1].got.empty());
}

TEST_F(CasterTest, WhoDoesNotVerifyIsHandedNoMoreThanItMayHold) {
  loop_.run_and_wait([this] {
    members_[1].slow = true;
    join(1, caster_->offer());
    join(2, caster_->offer());
  });
  ASSERT_TRUE(eventually([this] { return members_[2].got.size() == kSpans; }));
  EXPECT_LE(members_[1].got.size(), kMaxWaiting);
}

TEST_F(CasterTest, AStreamWaitsForItsMembersAndTheyKnow) {
  open(2, 10s);
  loop_.run_and_wait([this] { join(1, caster_->offer()); });
  std::this_thread::sleep_for(kQuiet + 300ms);
  EXPECT_FALSE(eventually([this] { return members_[1].quiet || !members_[1].got.empty(); }, 1ms));
  loop_.run_and_wait([this] { join(2, caster_->offer()); });
  ASSERT_TRUE(eventually(
      [this] { return std::ranges::all_of(members_, [](const auto& m) { return m.second.got.size() == kSpans; }); }));
}

TEST_F(CasterTest, ButNotForLongerThanItIsTold) {
  open(3, 200ms);
  loop_.run_and_wait([this] { join(1, caster_->offer()); });
  EXPECT_TRUE(eventually([this] { return members_[1].got.size() == kSpans; }));
}

// What the first one hears before the second is there would have to be sent twice.
TEST_F(CasterTest, AStreamWaitsForWhoIsOnHisWay) {
  coming_ = true;
  loop_.run_and_wait([this] { join(1, caster_->offer()); });
  ASSERT_TRUE(eventually([this] { return members_[1].joined; }));
  std::this_thread::sleep_for(kGather / 10);
  loop_.run_and_wait([this] {
    EXPECT_EQ(caster_->status().phase, CastStatus::Phase::waiting);
    EXPECT_EQ(caster_->figures().data, 0U);
    join(2, caster_->offer());
    coming_ = false;
  });
  ASSERT_TRUE(eventually(
      [this] { return std::ranges::all_of(members_, [](const auto& m) { return m.second.got.size() == kSpans; }); }));
  loop_.run_and_wait([this] { EXPECT_EQ(caster_->figures().passes, 0U) << "it began anew"; });
}

TEST_F(CasterTest, ButNotForEverForOneWhoDoesNotCome) {
  coming_ = true;
  loop_.run_and_wait([this] { join(1, caster_->offer()); });
  EXPECT_TRUE(eventually([this] { return members_[1].got.size() == kSpans; }));
}

TEST_F(CasterTest, OffersThatAreNoneAreRefused) {
  auto offer = caster_->offer();
  offer.symbol_size = 10;
  EXPECT_FALSE(Catcher::open(loop_, offer, loopback_, Bitmap(kSpans), {}));
  offer = caster_->offer();
  offer.group = "10.0.0.1";
  Catcher::Events events;
  events.report = [](const wire::MulticastReport&) {};
  EXPECT_FALSE(Catcher::open(loop_, offer, loopback_, Bitmap(kSpans), std::move(events)));
}

}  // namespace
}  // namespace stampede::net
