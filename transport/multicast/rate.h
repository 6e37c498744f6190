// How fast to send. Pure: fed with what members report and a time.
//
// The rate follows the members' loss and backlog at a quantile, so that neither the slowest machine nor a few of them hold
// the others back: it starts at a share of the cap, but at `start_limit` at most, and grows by half at each step until that
// quantile is content no more for the first time; from then on by a fixed step while it is, and shrinks when it is not: for
// loss by a factor, or to what arrived where that is less, and then waits until the new rate shows in reports; for backlog,
// which shows at once, by as much as it is too long, until it shrinks, and after that it grows back by a share of itself.
// Additive increase and multiplicative decrease share a link with TCP about fairly. Loss that cuts do not lessen is the
// link's and costs no speed; whether that still holds is tried now and then by half the rate for half a second. The rate
// stays between floor and cap. A fixed rate ignores what is reported.
//
// A member that does worse than the others for kPatience at a rate that the quantile is content with is named once by
// take_leavers(): it should leave the group and finish from the swarm.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "src/base/seams.h"

namespace stampede::multicast {

struct RateConfig {
  double cap = 125e6;  // bytes a second, of packets as they stand on the wire
  double floor = 1e6;  // never slower
  std::optional<double> fixed;
  double start = 0.9;          // share of the cap
  double start_limit = 115e6;  // a Gbit/s, which any machine takes: nothing is known yet
  double quantile = 0.25;      // of the members, the worst first: the best of these decides
  double bearable = 0.02;      // loss that costs no speed
  std::uint32_t backlog = 64;  // spans waiting for the disk that do
};

class Rate {
 public:
  static constexpr Duration kReaction = std::chrono::milliseconds(100);
  static constexpr Duration kPatience = std::chrono::seconds(3);
  static constexpr unsigned kFutile = 2;

  explicit Rate(const RateConfig& config);

  void joined(std::uint32_t member);
  void left(std::uint32_t member);
  // `loss` as a share of the packets, before repair.
  void report(std::uint32_t member, double loss, std::uint32_t backlog, Instant now);

  // Bytes a second, from now on. Call it every kReaction or so.
  double at(Instant now);
  // Of the member that decides, as a share of the packets.
  double loss() const { return loss_; }
  std::vector<std::uint32_t> take_leavers();

 private:
  struct Standing {
    double loss = 0;
    std::uint32_t backlog = 0;
    Instant heard{};
    std::optional<Instant> worse_since;
    bool told = false;
  };
  double fullness(const Standing& standing) const;
  double pressure(const Standing& standing) const;
  std::optional<Standing> decisive(Instant now) const;
  void step(const Standing& worst, Instant now);
  void relieve(double full, Instant now);
  void cut(double loss, Instant now);
  bool doubts(double loss, Instant now);
  void find_leavers(double decisive, Instant now);

  RateConfig config_;
  double rate_;
  double loss_ = 0;
  bool probing_ = true;  // nothing was too fast yet
  std::map<std::uint32_t, Standing> members_;
  Instant stepped_{};
  Instant relieved_{};      // cut for a backlog
  double full_before_ = 0;  // the backlog then or later, while it is too long
  double before_full_ = 0;  // the highest rate that a backlog has cut since loss did
  Instant cut_{};
  unsigned cuts_ = 0;       // in a row, that lessened nothing
  double loss_before_ = 0;  // when the first of them was made
  double rate_before_ = 0;
  double inherent_ = 0;  // loss that is of the link
  // Whether it still is: half the rate, for a moment, loses as much.
  struct Trial {
    double rate;
    Instant until;
  };
  std::optional<Trial> trial_;
  Instant next_trial_{};
  Duration trust_{};  // until then; doubles each time that it holds
  std::vector<std::uint32_t> leavers_;
};

// When how many packets may leave: batches for UDP_SEGMENT that no switch buffer overflows by.
class Pacer {
 public:
  static constexpr std::size_t kBatchPackets = 64;
  static constexpr std::size_t kBatchBytes = std::size_t{64} << 10;

  // Bytes of a packet on the wire, headers of all layers counted.
  explicit Pacer(std::size_t packet_size) : packet_size_(packet_size) {}

  // What a late caller may make up for at once, so that its timer's delay and a busy processor cost no speed: together with
  // a batch 256 KiB, what a switch may have to hold for a line slower than the sender's.
  static constexpr std::size_t kSlackBytes = (std::size_t{256} << 10) - kBatchBytes;

  // Packets that may be sent now: a whole batch or none.
  std::size_t room(Instant now, double bytes_per_second);
  void sent(std::size_t packets);
  // When the next batch is due.
  Instant next() const { return due_; }

 private:
  std::size_t batch() const;
  Duration time_of(std::size_t bytes) const;

  std::size_t packet_size_;
  double bytes_per_second_ = 0;
  Instant due_{};
};

}  // namespace stampede::multicast
