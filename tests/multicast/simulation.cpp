#include "tests/multicast/simulation.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "tests/multicast/stream.h"
#include "transport/multicast/carousel.h"
#include "transport/multicast/receiver.h"

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;
constexpr Duration kLatency = 1ms;
constexpr Duration kUnicast = 20ms;
constexpr Duration kOver = 500ms;
constexpr std::size_t kBatch = 16;

struct Node {
  NodeSpec spec;
  std::unique_ptr<Receiver> receiver;
  std::uint32_t held = 0;
  std::vector<bool> has, asked;
  bool dead = false;
  std::uint32_t place = 0;  // in the block of burst_every packets
  std::uint32_t burst_at = 0;
};

class World {
 public:
  explicit World(const Scenario& s) : s_(s), random_(s.seed), carousel_({s.spans, s.symbol_size}) {}
  Outcome run();

 private:
  void after(Duration wait, std::function<void()> act) { events_.emplace(now_ + wait, std::move(act)); }
  bool present(const Node& n) const { return n.receiver && !n.dead; }
  bool awake(const Node& n) const {
    const Duration t = now_ - Instant{};
    return present(n) && !(n.spec.freezes && t >= *n.spec.freezes && (!n.spec.thaws || t < *n.spec.thaws));
  }
  bool loses(Node& n);
  void come_and_go();
  void deliver(const Symbol& symbol);
  void got(std::uint32_t id, const Received& received);
  void hold(std::uint32_t id, std::uint32_t span);
  void ask(std::uint32_t id, std::uint32_t span);
  void poll(std::uint32_t id);
  void send();

  const Scenario& s_;
  SeededRandom random_;
  Carousel carousel_;
  std::vector<std::shared_ptr<const Bytes>> frames_;
  std::vector<Node> nodes_;
  std::multimap<Instant, std::function<void()>> events_;
  Instant now_{};
  Instant busy_{};  // the carousel had something to do
  std::size_t unfinished_ = 0;
  Outcome out_;
};

bool World::loses(Node& n) {
  if (n.spec.burst > 0) {
    if (n.place == 0) n.burst_at = static_cast<std::uint32_t>(random_.below(n.spec.burst_every - n.spec.burst + 1));
    const bool in_burst = n.place >= n.burst_at && n.place < n.burst_at + n.spec.burst;
    n.place = (n.place + 1) % n.spec.burst_every;
    if (in_burst) return true;
  }
  return n.spec.loss > 0 && static_cast<double>(random_.below(1'000'000)) < n.spec.loss * 1e6;
}

void World::come_and_go() {
  const Duration t = now_ - Instant{};
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    Node& n = nodes_[i];
    if (!n.receiver && !n.dead && t >= n.spec.joins) {
      n.receiver = std::make_unique<Receiver>(ReceiverConfig{{s_.spans, s_.symbol_size}}, Bitmap(s_.spans), random_, now_);
      carousel_.joined(i, Bitmap(s_.spans), now_);
    }
    if (present(n) && n.spec.dies && t >= *n.spec.dies) {
      n.dead = true;
      n.receiver.reset();
      carousel_.left(i);
      if (!out_.took[i]) --unfinished_;
    }
  }
}

void World::hold(std::uint32_t id, std::uint32_t span) {
  Node& n = nodes_[id];
  if (!present(n) || n.has[span]) return;
  n.has[span] = true;
  n.receiver->have(span);
  if (++n.held < s_.spans) return;
  out_.took[id] = now_ - Instant{};
  --unfinished_;
}

void World::got(std::uint32_t id, const Received& received) {
  const Bytes back = encode_frame(received.frame.parts, received.frame.bytes);
  if (back != *frames_[received.span]) out_.violation = fmt::format("node {} has a wrong span {}", id, received.span);
  if (nodes_[id].has[received.span]) out_.violation = fmt::format("node {} got span {} twice", id, received.span);
  hold(id, received.span);
}

void World::ask(std::uint32_t id, std::uint32_t span) {
  if (nodes_[id].asked[span]) return;
  nodes_[id].asked[span] = true;
  out_.unicast += frames_[span]->size();
  after(kUnicast, [=, this] {
    hold(id, span);
    if (present(nodes_[id])) after(kLatency, [=, this] { carousel_.has(id, span, now_); });
  });
}

void World::deliver(const Symbol& symbol) {
  Bytes padded(s_.symbol_size);
  std::ranges::copy(symbol.bytes, padded.begin());
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    Node& n = nodes_[i];
    if (loses(n) || !awake(n)) continue;
    if (const auto received = n.receiver->packet(symbol.sequence, {symbol.header, padded}, now_)) got(i, *received);
  }
}

void World::poll(std::uint32_t id) {
  Node& n = nodes_[id];
  if (!awake(n)) return;
  for (const std::uint32_t span : n.receiver->take_stale()) ask(id, span);
  out_.peak = std::max<std::uint64_t>(out_.peak, n.receiver->figures().memory);
  if (carousel_.policy() != Policy{}) n.receiver->set_policy(carousel_.policy(), now_);
  if (n.receiver->next_poll() > now_) return;
  const auto report = n.receiver->poll(now_);
  if (!report) return;
  out_.feedback += wire_size(*report);
  after(kLatency, [=, this] {
    const Answer answer = carousel_.report(id, *report, now_);
    if (!answer.given_up.empty())
      after(kLatency, [=, this] {
        if (present(nodes_[id])) nodes_[id].receiver->given_up(answer.given_up);
      });
  });
}

void World::send() {
  const Turn turn = carousel_.poll(now_, kBatch);
  for (const std::uint32_t span : turn.fetch) after(kLatency, [=, this] { carousel_.provide(span, frames_[span]); });
  for (const Symbol& symbol : turn.symbols) deliver(symbol);
  out_.multicast += turn.symbols.size() * s_.symbol_size;
  if (!carousel_.idle()) busy_ = now_;
  const auto took = turn.symbols.empty() ? 1e6 : static_cast<double>(turn.symbols.size() * s_.symbol_size) / s_.line * 1e9;
  now_ += Duration(static_cast<Duration::rep>(took));
}

Outcome World::run() {
  for (std::uint32_t i = 0; i < s_.spans; ++i) {
    const std::size_t size = s_.span_size / 2 + random_.below(s_.span_size);
    frames_.push_back(std::make_shared<const Bytes>(sample_frame(i, size)));
    out_.needed += frames_.back()->size();
  }
  carousel_.set_rate(s_.line * 1500 / static_cast<double>(s_.symbol_size));
  out_.took.resize(s_.nodes.size());
  unfinished_ = s_.nodes.size();
  for (const NodeSpec& spec : s_.nodes) {
    Node& n = nodes_.emplace_back();
    n.spec = spec;
    n.has.resize(s_.spans);
    n.asked.resize(s_.spans);
    if (spec.burst > 0) n.place = static_cast<std::uint32_t>(random_.below(spec.burst_every));
  }
  while (unfinished_ > 0 && now_ - Instant{} < s_.limit && out_.violation.empty()) {
    come_and_go();
    while (!events_.empty() && events_.begin()->first <= now_) {
      const auto act = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      act();
    }
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) poll(i);
    if (now_ - busy_ >= kOver) {
      for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
        for (std::uint32_t span = 0; awake(nodes_[i]) && span < s_.spans; ++span)
          if (!nodes_[i].has[span]) ask(i, span);
      }
    }
    send();
  }
  out_.unasked = carousel_.figures().parity;
  out_.repair = carousel_.figures().repair;
  return out_;
}

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

std::size_t Outcome::complete() const {
  return static_cast<std::size_t>(std::ranges::count_if(took, [](const auto& t) { return t.has_value(); }));
}

Duration Outcome::slowest(std::optional<std::size_t> except) const {
  Duration out{};
  for (std::size_t i = 0; i < took.size(); ++i)
    if (took[i] && i != except) out = std::max(out, *took[i]);
  return out;
}

Outcome simulate(const Scenario& scenario) { return World(scenario).run(); }

void report(const Scenario& s, const Outcome& out) {
  const double frames = static_cast<double>(out.needed);
  const auto share = [&](double bytes) { return bytes / frames; };
  fmt::print(
      "{:>34} seed {}: {}/{} in {:.2f} s (ideal {:.2f}), sent {:.3f} (unasked {:.3f}, repair {:.3f}, unicast {:.3f}), "
      "feedback {:.2f} %, {} KiB at most\n",
      s.name, s.seed, out.complete(), s.nodes.size(), seconds(out.slowest()), seconds(s.ideal()), out.sent(),
      share(static_cast<double>(out.unasked * s.symbol_size)), share(static_cast<double>(out.repair * s.symbol_size)),
      share(static_cast<double>(out.unicast)),
      100 * static_cast<double>(out.feedback) / static_cast<double>(out.multicast) * static_cast<double>(s.symbol_size) /
          1500,
      out.peak / 1024);
}

}  // namespace stampede::multicast
