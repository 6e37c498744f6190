#include "transport/multicast/need.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace stampede::multicast {
namespace {

constexpr double kEnough = 0.1;  // probability that fewer will do, at most
constexpr std::uint32_t kMost = 64;
constexpr std::size_t kSample = 256;

// One member: the probability that it has k of the first k + parity symbols, for growing parity.
class Member {
 public:
  Member(double loss, std::uint32_t k) : loss_(loss), k_(k), term_(std::pow(1 - loss, k)), sum_(term_) {}
  double done() const { return std::min(1.0, sum_); }
  // The k-th arrives as the last of k + n, n were lost before: C(k+n-1, n) (1-p)^k p^n.
  void one_more() {
    ++n_;
    term_ *= loss_ * (k_ + n_ - 1) / n_;
    sum_ += term_;
  }

 private:
  double loss_;
  std::uint32_t k_;
  std::uint32_t n_ = 0;
  double term_;
  double sum_;
};

}  // namespace

std::uint32_t sure_need(std::span<const double> losses, std::uint32_t k) {
  std::vector<Member> members;
  const std::size_t step = losses.size() / kSample + 1;
  for (std::size_t i = 0; i < losses.size(); i += step) members.emplace_back(std::min(losses[i], 0.5), k);
  for (std::uint32_t parity = 0; parity < kMost; ++parity) {
    double all = 1;
    for (const Member& member : members) all *= member.done();
    if (all > kEnough) return parity;
    for (Member& member : members) member.one_more();
  }
  return kMost;
}

}  // namespace stampede::multicast
