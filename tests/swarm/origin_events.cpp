#include <algorithm>
#include <map>
#include <set>

#include "tests/swarm/events.h"
#include "transport/swarm/origin.h"

namespace stampede::swarm {

namespace {

using namespace std::chrono_literals;

struct Member {
  Bitmap have;
  std::set<std::uint32_t> sent;
};

class OriginRun {
 public:
  explicit OriginRun(ByteView input) : in_(input), random_(in_.u8()), spans_(1 + in_.u8() % 200U), origin_(spans_) {}

  std::string run() {
    while (in_.left() > 0 && problem_.empty()) event();
    if (problem_.empty()) leave_one_alone();
    return problem_;
  }

 private:
  void event() {
    const unsigned kind = in_.u8() % 8;
    const MemberId id = in_.u8() % 6;
    const std::uint32_t span = in_.u8() % (spans_ + 1);
    switch (kind) {
      case 0:
        return join(id, in_.u8());
      case 1:
        if (in_.u8() % 4 == 0) origin_.leave(id), members_.erase(id);
        return;
      case 2:
        return has(id, span);
      case 3:
        return origin_.heard(id, in_.u8() % 4 == 0, now_);
      case 4:
        return asked(id, span);
      case 5:
        now_ += Duration(1ms) * in_.u8() * in_.u8();
        return;
      default:
        return allot(id, in_.u8() % 16U);
    }
  }
  void join(MemberId id, unsigned density) {
    Member member{Bitmap(spans_), {}};
    for (std::uint32_t i = 0; i < spans_; ++i) {
      if (random_.below(256) < density) member.have.set(i);
    }
    origin_.join(id, member.have, now_, in_.u8() % 4 != 0);
    members_.insert_or_assign(id, std::move(member));
  }
  void has(MemberId id, std::uint32_t span) {
    origin_.has(id, span, now_);
    if (members_.contains(id) && span < spans_) members_[id].have.set(span);
  }
  void asked(MemberId id, std::uint32_t span) {
    origin_.asked(id, span, now_);
    if (members_.contains(id) && span < spans_) members_[id].sent.insert(span);
  }
  void allot(MemberId id, std::uint32_t count) {
    const auto spans = origin_.allot(id, count, now_);
    if (spans.size() > count) problem_ = "allots more than was asked for";
    if (!spans.empty() && !members_.contains(id)) problem_ = "allots to a stranger";
    for (const std::uint32_t span : spans) {
      if (span >= spans_) problem_ = "allots a span past the end";
      if (!problem_.empty()) return;
      if (members_[id].have.test(span)) problem_ = "allots a span that the member holds";
      if (!members_[id].sent.insert(span).second) problem_ = "allots a span twice to one member";
    }
    if (origin_.members() != members_.size()) problem_ = "miscounts its members";
    if (origin_.active(now_) > members_.size()) problem_ = "has more active members than members";
  }
  void leave_one_alone() {
    if (members_.empty()) join(0, 20);
    const MemberId last = members_.begin()->first;
    for (const auto& [id, member] : members_) {
      if (id != last) origin_.leave(id);
    }
    const Member& member = members_[last];
    members_ = {{last, member}};
    allot(last, spans_);
    for (std::uint32_t i = 0; i < spans_ && problem_.empty(); ++i) {
      if (!members_[last].have.test(i) && !members_[last].sent.contains(i))
        problem_ = "keeps a span back from the last member";
    }
  }

  ByteReader in_;
  SeededRandom random_;
  std::uint32_t spans_;
  Origin origin_;
  std::map<MemberId, Member> members_;
  Instant now_{};
  std::string problem_;
};

}  // namespace

std::string run_origin(ByteView input) { return OriginRun(input).run(); }

}  // namespace stampede::swarm
