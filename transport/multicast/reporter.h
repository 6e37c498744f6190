// When a receiver reports, and what it measures for that: losses, and what it settled since. Private to this room.
#pragma once

#include <optional>
#include <vector>

#include "src/base/seams.h"
#include "transport/multicast/receiver.h"
#include "transport/multicast/report.h"

namespace stampede::multicast {

class Reporter {
 public:
  // `random` must outlive it.
  Reporter(Random& random, Instant now);

  void heard(std::uint64_t sequence, Instant now);
  void settled(std::uint32_t span) { fresh_.push_back(span); }
  void set_policy(const Policy& policy, Instant now);
  void set_backlog(std::uint32_t spans) { backlog_ = spans; }
  const Policy& policy() const { return policy_; }

  // Of a generation that lacks symbols: no more of it are to be expected before the sender hears of it. Symbols of a window
  // come in turn, so one that has had none for several turns is at its end, or the stream pauses.
  bool ripe(std::uint64_t last_sequence, Instant now) const;

  Instant due() const { return due_; }
  // Now that it is due; nothing if there is nothing to say.
  std::optional<Report> report(std::vector<Lack> lacks, Instant now);
  void count(Receiver::Figures& figures) const;

 private:
  bool eager() const { return draw_ <= policy_.eager; }
  Duration mean() const { return eager() ? policy_.quick : policy_.slow; }
  void plan(Instant now);
  void measure();
  std::vector<SpanRun> take_runs();

  Random* random_;
  Policy policy_;
  std::uint16_t draw_;  // the sample is of receivers, not of reports, so that what one says can be compared
  Instant due_;
  Instant reported_;
  std::uint64_t first_ = 0;  // sequence number before the first that was seen
  std::uint64_t highest_ = 0;
  std::uint64_t packets_ = 0;
  std::optional<Instant> heard_;
  std::uint64_t measured_highest_ = 0;
  std::uint64_t measured_packets_ = 0;
  double loss_ = 0;
  std::uint32_t backlog_ = 0;
  std::vector<std::uint32_t> fresh_;
};

}  // namespace stampede::multicast
