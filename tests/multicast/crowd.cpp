#include "tests/multicast/crowd.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <queue>
#include <vector>

#include "tests/multicast/stream.h"
#include "transport/multicast/carousel.h"

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t kSymbol = 16;        // bytes in memory; on the wire it counts as kPacket
constexpr std::size_t kSpanSymbols = 246;  // 350 KB of 1424
constexpr std::uint32_t kGenerations = 4;
constexpr double kPacket = 1500;
constexpr double kLine = 125e6;
constexpr std::size_t kBatch = 64;
constexpr Duration kLimit = 2min;

// What a member did not get is all that is known of it: it got the rest.
struct Member {
  double loss = 0;
  std::uint16_t draw = 0;
  Instant joins, dies = Instant::max();
  bool present = false, done = false;
  Instant due;
  std::size_t cursor = 0;                       // into the spans that went out
  std::map<std::uint32_t, std::uint32_t> lost;  // symbols, by generation of the image
  std::vector<std::uint32_t> open;              // spans that went out and are not complete
  std::vector<std::uint32_t> base;              // symbols of each generation that were sent before it came
  Bitmap held;
};

class Crowd {
 public:
  explicit Crowd(const CrowdScenario& s)
      : s_(s), random_(s.seed), carousel_({s.spans, kSymbol}), sent_(s.spans * kGenerations), going_(s.spans) {}
  CrowdOutcome run();

 private:
  double uniform() { return static_cast<double>(random_.below(1U << 30) + 1) / (1U << 30); }
  void skip_to_loss(std::uint32_t id) {
    const double gap = std::log(uniform()) / std::log(1 - members_[id].loss);
    losers_.emplace(sequence_ + 1 + static_cast<std::uint64_t>(gap), id);
  }
  Duration mean(const Member& m, const Policy& policy) const;
  void plan_report(std::uint32_t id, double share);
  void hear_policy();
  void create();
  void come(std::uint32_t id);
  void go(std::uint32_t id);
  void take(const Symbol& symbol);
  std::uint32_t missing(const Member& m, std::uint32_t generation) const;
  bool complete(const Member& m, std::uint32_t span, std::vector<Lack>& lacks) const;
  void hold(Member& m, std::uint32_t span);
  void report(std::uint32_t id);

  const CrowdScenario& s_;
  SeededRandom random_;
  Carousel carousel_;
  std::vector<Member> members_;
  std::vector<std::uint32_t> sent_;   // symbols, by generation
  std::vector<std::uint32_t> going_;  // data symbols of the span in this pass
  std::vector<std::uint32_t> gone_;   // spans, whenever they were out
  std::vector<std::uint32_t> k_;
  using Timed = std::pair<Instant, std::uint32_t>;
  std::priority_queue<Timed, std::vector<Timed>, std::greater<>> reports_;
  using Numbered = std::pair<std::uint64_t, std::uint32_t>;
  std::priority_queue<Numbered, std::vector<Numbered>, std::greater<>> losers_;
  Instant start_{1h};
  Instant now_ = start_;
  std::uint64_t sequence_ = 0;
  std::uint64_t feedback_ = 0;
  Policy policy_ = carousel_.policy();  // as announced last
  std::uint64_t unicast_ = 0;           // spans
  std::uint32_t left_ = 0;              // members that are to complete
  CrowdOutcome out_;
};

Duration Crowd::mean(const Member& m, const Policy& policy) const {
  return m.draw <= policy.eager ? policy.quick : policy.slow;
}

void Crowd::plan_report(std::uint32_t id, double share) {
  Member& m = members_[id];
  m.due = now_ + Duration(static_cast<Duration::rep>(share * static_cast<double>(mean(m, policy_).count())));
  reports_.emplace(m.due, id);
}

// As receivers do: the wait that is left changes in proportion.
void Crowd::hear_policy() {
  const Policy old = std::exchange(policy_, carousel_.policy());
  if (old == policy_) return;
  for (std::uint32_t i = 0; i < s_.members; ++i) {
    const Member& m = members_[i];
    if (m.present && !m.done)
      plan_report(i, static_cast<double>((m.due - now_).count()) / static_cast<double>(mean(m, old).count()));
  }
}

void Crowd::create() {
  const double stream = static_cast<double>(s_.spans * kSpanSymbols) * kPacket / kLine;
  const auto moment = [&] { return start_ + Duration(static_cast<Duration::rep>(uniform() * stream * 1e9)); };
  members_.resize(s_.members);
  for (std::uint32_t i = 0; i < s_.members; ++i) {
    Member& m = members_[i];
    m.loss = i % 10 == 0 ? 0.01 : 0.001;
    m.draw = static_cast<std::uint16_t>(random_.below(65536));
    m.joins = i < s_.late ? moment() : start_;
    if (i >= s_.members - s_.deaths) m.dies = moment();
    m.held = Bitmap(s_.spans);
  }
  left_ = s_.members;
}

void Crowd::come(std::uint32_t id) {
  Member& m = members_[id];
  m.present = true;
  m.cursor = gone_.size();
  m.base = sequence_ > 0 ? sent_ : std::vector<std::uint32_t>{};
  carousel_.joined(id, m.held, now_);
  skip_to_loss(id);
  plan_report(id, 0.5 + uniform());
}

void Crowd::go(std::uint32_t id) {
  members_[id] = {};
  members_[id].done = true;
  carousel_.left(id);
  --left_;
}

void Crowd::take(const Symbol& symbol) {
  const Header& h = symbol.header;
  sequence_ = symbol.sequence;
  const std::uint32_t generation = h.span * kGenerations + h.generation;
  ++sent_[generation];
  for (; !losers_.empty() && losers_.top().first <= sequence_;) {
    const std::uint32_t id = losers_.top().second;
    losers_.pop();
    Member& m = members_[id];
    if (!m.present || m.done) continue;
    if (!m.held.test(h.span)) ++m.lost[generation];
    skip_to_loss(id);
  }
  if (h.is_parity() || ++going_[h.span] < kSpanSymbols) return;
  going_[h.span] = 0;
  gone_.push_back(h.span);
}

std::uint32_t Crowd::missing(const Member& m, std::uint32_t generation) const {
  std::uint32_t got = sent_[generation] - (m.base.empty() ? 0 : m.base[generation]);
  if (const auto lost = m.lost.find(generation); lost != m.lost.end()) got -= std::min(got, lost->second);
  const std::uint32_t k = k_[generation % kGenerations];
  return k - std::min(k, got);
}

bool Crowd::complete(const Member& m, std::uint32_t span, std::vector<Lack>& lacks) const {
  bool all = true;
  for (std::uint32_t g = 0; g < kGenerations; ++g) {
    const std::uint32_t n = missing(m, span * kGenerations + g);
    if (n > 0) lacks.push_back({span, static_cast<std::uint8_t>(g), static_cast<std::uint8_t>(n)}), all = false;
  }
  return all;
}

void Crowd::hold(Member& m, std::uint32_t span) {
  m.held.set(span);
  m.lost.erase(m.lost.lower_bound(span * kGenerations), m.lost.lower_bound((span + 1) * kGenerations));
  if (!m.held.full() || m.done) return;
  m.done = true;
  ++out_.complete;
  --left_;
}

void Crowd::report(std::uint32_t id) {
  Member& m = members_[id];
  Report report;
  report.sequence = sequence_;
  report.loss = static_cast<std::uint16_t>(m.loss * 65536);
  std::vector<std::uint32_t> spans = std::move(m.open);
  for (; m.cursor < gone_.size(); ++m.cursor) spans.push_back(gone_[m.cursor]);
  m.open.clear();
  std::ranges::sort(spans);
  for (const std::uint32_t span : spans) {
    if (m.held.test(span)) continue;
    if (!complete(m, span, report.lacks)) {
      m.open.push_back(span);
      continue;
    }
    hold(m, span);
    if (report.settled.empty() || report.settled.back().first + report.settled.back().count != span)
      report.settled.push_back({span, 0});
    ++report.settled.back().count;
  }
  feedback_ += wire_size(report);
  for (const std::uint32_t span : carousel_.report(id, report, now_).given_up) {
    ++unicast_;
    hold(m, span);
  }
  if (!m.done) plan_report(id, 0.5 + uniform());
}

CrowdOutcome Crowd::run() {
  const auto frame = std::make_shared<const Bytes>(sample_frame(0, kSpanSymbols * kSymbol - 12));
  const Layout layout(frame->size(), kSymbol);
  for (std::uint32_t g = 0; g < kGenerations; ++g) k_.push_back(layout.k(g));
  create();
  carousel_.set_rate(kLine);
  while (left_ > 0 && now_ - start_ < kLimit) {
    for (std::uint32_t i = 0; i < s_.members; ++i) {
      if (!members_[i].present && !members_[i].done && now_ >= members_[i].joins) come(i);
      if (members_[i].present && !members_[i].done && now_ >= members_[i].dies) go(i);
    }
    for (; !reports_.empty() && reports_.top().first <= now_;) {
      const auto [due, id] = reports_.top();
      reports_.pop();
      if (!members_[id].done && due == members_[id].due) report(id);
    }
    hear_policy();
    const Turn turn = carousel_.poll(now_, kBatch);
    for (const std::uint32_t span : turn.fetch) carousel_.provide(span, frame);
    for (const Symbol& symbol : turn.symbols) take(symbol);
    now_ += Duration(static_cast<Duration::rep>(static_cast<double>(kBatch) * kPacket / kLine * 1e9));
  }
  const double needed = static_cast<double>(s_.spans * kSpanSymbols);
  out_.seconds = std::chrono::duration<double>(now_ - start_).count();
  out_.ideal = needed * kPacket / kLine;
  out_.sent = static_cast<double>(sequence_) / needed;
  out_.unicast = static_cast<double>(unicast_) / s_.spans;
  out_.feedback = static_cast<double>(feedback_) / (static_cast<double>(sequence_) * kPacket);
  return out_;
}

}  // namespace

CrowdOutcome simulate(const CrowdScenario& scenario) { return Crowd(scenario).run(); }

}  // namespace stampede::multicast
