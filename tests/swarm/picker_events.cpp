#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/swarm/events.h"
#include "transport/swarm/picker.h"

namespace stampede::swarm {

namespace {

using namespace std::chrono_literals;
constexpr PeerId kPeers = 5;  // besides the depot

class PickerRun {
 public:
  explicit PickerRun(ByteView input)
      : in_(input), random_(in_.u8()), spans_(1 + in_.u8() % 100U), picker_(config(), Bitmap(spans_), random_) {}

  std::string run() {
    while (in_.left() > 0 && problem_.empty()) {
      event();
      poll();
    }
    if (problem_.empty()) behave();
    return problem_;
  }

 private:
  struct Out {
    std::uint32_t span;
    Instant at;
    bool any;
    bool settled = false;  // the span came otherwise, so this takes no credit even if it is wanted again
  };

  PickerConfig config() { return {spans_, 1 + in_.u8() % 8U, 1 + in_.u8() % 4U}; }
  std::uint32_t any_span() { return in_.u8() % (spans_ + 2); }  // sometimes out of range
  PeerId any_peer() { return in_.u8() % (kPeers + 1); }

  void event() {
    const unsigned kind = in_.u8() % 16;
    const PeerId peer = any_peer();
    switch (kind) {
      case 0:
        return join(peer);
      case 1:
        return leave(peer);
      case 2:
        return picker_.peer_has(peer, any_span(), now_);
      case 3:
        return picker_.set_active(in_.u8() % 8U, now_);
      case 4:
        return picker_.set_credit(credit_ = in_.u8() % 20U);
      case 5:
        return verify(in_.u8() % 4 != 0);
      case 6:
        return refuse(peer);
      case 7:
        return none_left();
      case 8:
        now_ += Duration(1ms) * in_.u8() * in_.u8();
        return;
      case 9:
        return had(any_span());
      case 10:
        return expect();
      case 11:
        return release(any_span());
      case 12:
        return caught(any_span());
      default:
        return answer(peer, in_.u8() % 8 == 0);
    }
  }

  void join(PeerId peer) {
    Bitmap has(spans_);
    const unsigned density = in_.u8();
    for (std::uint32_t i = 0; i < spans_; ++i) {
      if (random_.below(255) < density) has.set(i);
    }
    out_[peer].clear();
    picker_.peer_joined(peer, has, now_);
    if (!banned_.contains(peer)) present_.insert(peer);
  }
  void leave(PeerId peer) {
    picker_.peer_left(peer, now_);
    present_.erase(peer);
    out_[peer].clear();
  }
  void answer(PeerId peer, bool odd) {
    auto& out = out_[peer];
    std::uint32_t span = any_span();
    bool expected = false;
    if (!out.empty() && !odd) {
      const auto at = out.begin() + in_.u8() % static_cast<std::ptrdiff_t>(out.size());
      if (!at->any) span = at->span;
      // The picker takes a span that it asked for by name as that one.
      const auto named = std::ranges::find_if(out, [&](const Out& o) { return !o.any && o.span == span; });
      if (span < spans_) out.erase(named != out.end() ? named : at);  // else it is no answer
      expected = true;
    } else if (std::ranges::any_of(out, [&](const Out& o) { return o.any || o.span == span; })) {
      return;  // would be an answer after all
    }
    const bool taken = picker_.received(peer, span, now_);
    if (!taken) return;
    if (!expected || span >= spans_) problem_ = "takes a span that it never asked for";
    if (picker_.have().test(span) || unverified_.contains(span)) problem_ = "takes a span that it has";
    unverified_.emplace(span, peer);
    settle(span);
    expected_.erase(span);
    const auto asked_for = std::ranges::count_if(unverified_, [](const auto& u) { return u.second != kMulticast; });
    if (static_cast<std::size_t>(asked_for) > credit_top_) problem_ = "holds more than the credit";
  }
  void verify(bool good) {
    if (unverified_.empty()) return;
    const auto [span, peer] = *unverified_.begin();
    unverified_.erase(unverified_.begin());
    if (good || peer == kPeers) {  // the last one is honest
      picker_.had(span, now_);
      return;
    }
    picker_.bad(span, now_);
    if (peer != kDepot && peer != kMulticast) banned_.insert(peer), leave(peer);
  }
  void refuse(PeerId peer) {
    auto& out = out_[peer];
    const auto named = std::ranges::find_if(out, [](const Out& o) { return !o.any; });
    picker_.not_held(peer, named == out.end() ? any_span() : named->span, now_);
    if (named != out.end()) out.erase(named);
  }
  void none_left() {
    auto& out = out_[kDepot];
    for (std::uint32_t n = in_.u8() % 5; n > 0; --n) {
      picker_.none_left(1, now_);
      const auto last = std::find_if(out.rbegin(), out.rend(), [](const Out& o) { return o.any; });
      if (last != out.rend()) out.erase(std::next(last).base());
    }
  }
  void expect() {
    picker_.expect_all();
    for (std::uint32_t span = 0; span < spans_; ++span) {
      const bool asked = std::ranges::any_of(out_, [&](const auto& other) {
        return std::ranges::any_of(other.second, [&](const Out& o) { return o.span == span; });
      });
      if (!asked && !picker_.have().test(span) && !unverified_.contains(span)) expected_.insert(span);
    }
  }
  void release(std::uint32_t span) {
    if (span == 0) {
      picker_.release_all(now_);
      expected_.clear();
    } else {
      picker_.release(span, now_);
      expected_.erase(span);
    }
  }
  void caught(std::uint32_t span) {
    const bool wanted = span < spans_ && !picker_.have().test(span) && !unverified_.contains(span);
    if (picker_.caught(span) != wanted) problem_ = "takes what it has, or drops what it lacks";
    if (!wanted) return;
    unverified_.emplace(span, kMulticast);
    expected_.erase(span);
    settle(span);
  }
  void had(std::uint32_t span) {
    picker_.had(span, now_);
    expected_.erase(span);
    unverified_.erase(span);
    settle(span);
  }
  void settle(std::uint32_t span) {
    for (auto& [peer, out] : out_) {
      for (Out& o : out) o.settled |= !o.any && o.span == span;
    }
  }

  // Surely under way: asked too recently to be overdue.
  std::size_t under_way() const {
    std::set<std::uint32_t> spans;
    std::size_t any = 0;
    for (const auto& [peer, out] : out_) {
      for (const Out& o : out) {
        if (o.settled || now_ - o.at >= kRequestTimeout) continue;
        if (o.any) {
          ++any;
        } else if (!picker_.have().test(o.span) && !unverified_.contains(o.span)) {
          spans.insert(o.span);
        }
      }
    }
    return spans.size() + any + unverified_.size();
  }

  std::vector<Ask> poll() {
    credit_top_ = std::max<std::size_t>(credit_, credit_top_);
    bool more = false;
    const auto asks = picker_.poll(now_);
    for (const Ask& ask : asks) {
      auto& out = out_[ask.peer];
      if (!present_.contains(ask.peer)) problem_ = fmt::format("asks absent peer {}", ask.peer);
      if (ask.kind == Ask::Kind::any) {
        if (ask.peer != kDepot || ask.count == 0) problem_ = "asks any of nobody or none";
        more = true;
        out.insert(out.end(), ask.count, {0, now_, true});
        continue;
      }
      if (picker_.have().test(ask.span) || unverified_.contains(ask.span)) problem_ = "asks for what it has";
      if (expected_.contains(ask.span)) problem_ = "asks for what multicast is to bring";
      if (std::ranges::any_of(out, [&](const Out& o) { return !o.any && o.span == ask.span; })) problem_ = "asks twice";
      // Doubling a request that is still under way takes no more credit.
      more |= std::ranges::none_of(out_, [&](const auto& other) {
        return std::ranges::any_of(other.second, [&](const Out& o) { return !o.any && !o.settled && o.span == ask.span; });
      });
      out.push_back({ask.span, now_, false});
    }
    if (more && under_way() > credit_) problem_ = "asks for more than its credit";
    if (picker_.complete() != picker_.have().full()) problem_ = "is complete without having all";
    if (const auto next = picker_.next_poll(); next && *next <= now_) problem_ = "wants to be polled in the past";
    return asks;
  }

  // From here on the depot and one honest peer do what they should, and the picker is called only when it says so.
  void behave() {
    for (PeerId peer = 0; peer <= kPeers; ++peer) leave(peer);
    for (; !unverified_.empty();) verify(true);
    release(0);
    picker_.set_credit(credit_ = 3);
    picker_.peer_joined(kDepot, {}, now_);
    picker_.peer_joined(kPeers, Bitmap(spans_), now_);
    present_ = {kDepot, kPeers};
    for (int round = 0; round < 100000 && problem_.empty(); ++round) {
      if (picker_.complete()) return;
      bool news = false;
      for (const Ask& ask : poll()) {
        news = true;
        if (ask.kind == Ask::Kind::span) {
          const bool taken = picker_.received(ask.peer, ask.span, now_);
          if (taken) picker_.had(ask.span, now_);
        } else {
          picker_.none_left(ask.count, now_);  // the depot believes that all is held by others
        }
        out_.clear();
      }
      if (news) continue;
      if (!picker_.next_poll()) break;
      now_ = *picker_.next_poll();
    }
    if (problem_.empty()) problem_ = "does not complete although the depot answers";
  }

  ByteReader in_;
  SeededRandom random_;
  std::uint32_t spans_;
  Picker picker_;
  Instant now_{};
  std::uint32_t credit_ = 0;
  std::size_t credit_top_ = 0;
  std::set<PeerId> present_;
  std::set<PeerId> banned_;
  std::map<PeerId, std::vector<Out>> out_;
  std::map<std::uint32_t, PeerId> unverified_;
  std::set<std::uint32_t> expected_;  // surely
  std::string problem_;
};

}  // namespace

std::string run_picker(ByteView input) { return PickerRun(input).run(); }

}  // namespace stampede::swarm
