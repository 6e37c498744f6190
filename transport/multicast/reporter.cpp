#include "transport/multicast/reporter.h"

#include <algorithm>

namespace stampede::multicast {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kRipeDistance = 4 * 64;
constexpr Duration kRipeTime = 30ms;  // a sender that shares its processor pauses for longer than the wire does
// Loss is measured over about so many packets.
constexpr std::uint64_t kMeasured = 4000;
constexpr std::uint64_t kLeastMeasured = 100;

// Between half and one and a half times `mean`.
Duration about(Duration mean, Random& random) {
  return mean / 2 + Duration(static_cast<Duration::rep>(random.below(static_cast<std::uint64_t>(mean.count()) + 1)));
}

}  // namespace

Reporter::Reporter(Random& random, Instant now)
    : random_(&random), policy_(policy_for(1, 1e8)), draw_(static_cast<std::uint16_t>(random.below(65536))), reported_(now) {
  plan(now);
}

void Reporter::plan(Instant now) { due_ = now + about(mean(), *random_); }

void Reporter::set_policy(const Policy& policy, Instant now) {
  if (policy == policy_) return;
  // The wait that is left changes in proportion: drawn anew at every change, it might never end.
  const double left = static_cast<double>(std::max(Duration{}, due_ - now).count()) / static_cast<double>(mean().count());
  policy_ = policy;
  due_ = now + Duration(static_cast<Duration::rep>(left * static_cast<double>(mean().count())));
}

void Reporter::heard(std::uint64_t sequence, Instant now) {
  if (packets_ == 0) first_ = highest_ = measured_highest_ = sequence - 1;
  ++packets_;
  highest_ = std::max(highest_, sequence);
  heard_ = now;
}

bool Reporter::ripe(std::uint64_t last_sequence, Instant now) const {
  return highest_ - last_sequence >= kRipeDistance || now - *heard_ >= kRipeTime;
}

void Reporter::measure() {
  const std::uint64_t expected = highest_ - measured_highest_;
  if (expected < kLeastMeasured) return;
  const std::uint64_t got = std::min(expected, packets_ - measured_packets_);
  const double loss = 1 - static_cast<double>(got) / static_cast<double>(expected);
  loss_ += (loss - loss_) * std::min(1.0, static_cast<double>(expected) / kMeasured);
  measured_highest_ = highest_;
  measured_packets_ = packets_;
}

std::vector<SpanRun> Reporter::take_runs() {
  std::ranges::sort(fresh_);
  std::vector<SpanRun> out;
  std::size_t taken = 0;
  for (; taken < fresh_.size(); ++taken) {
    const std::uint32_t span = fresh_[taken];
    if (!out.empty() && out.back().first + out.back().count == span) {
      ++out.back().count;
    } else {
      if (out.size() == kMaxRuns) break;
      out.push_back({span, 1});
    }
  }
  fresh_.erase(fresh_.begin(), fresh_.begin() + static_cast<std::ptrdiff_t>(taken));
  return out;
}

std::optional<Report> Reporter::report(std::vector<Lack> lacks, Instant now) {
  const bool news = !lacks.empty() || !fresh_.empty() || highest_ != measured_highest_;
  plan(now);
  if (!news && now - reported_ < policy_.sign_of_life()) return std::nullopt;
  reported_ = now;
  measure();
  Report out;
  out.sequence = highest_;
  out.loss = static_cast<std::uint16_t>(std::clamp(loss_ * 65536, 0.0, 65535.0));
  out.backlog = static_cast<std::uint16_t>(std::min<std::uint32_t>(backlog_, 65535));
  out.settled = take_runs();
  out.lacks = std::move(lacks);
  return out;
}

void Reporter::count(Receiver::Figures& figures) const {
  figures.packets = packets_;
  const std::uint64_t expected = highest_ - first_;
  figures.lost = expected - std::min(expected, packets_);
  figures.heard = heard_;
}

}  // namespace stampede::multicast
