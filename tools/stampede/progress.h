// Progress for people (one line that is drawn again, on a terminal only) and for programs (JSON lines on stdout).
#pragma once

#include <boost/json/fwd.hpp>
#include <deque>
#include <string>
#include <utility>

#include "src/base/seams.h"
#include "src/deploy/deployment.h"

namespace stampede::tools {

// "150 MiB by multicast, 1.2 MiB from the depot, 0 B from peers"
std::string paths_text(const deploy::ByteCounts& bytes);

enum class ProgressMode { automatic, json, none };

// One line on stderr, drawn again at most ten times a second; nothing where stderr is no terminal. Erased at the end.
class ProgressLine {
 public:
  explicit ProgressLine(bool enabled);
  ~ProgressLine() { finish(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  bool is_seen() const { return enabled_; }
  // Erases the line; nothing is drawn any more.
  void finish();
  // "importing  1.2 GiB of 4.0 GiB  30%  812 MiB/s  0:03 left"; the rate is over the last seconds.
  // A total of 0: it is not known.
  void show(std::string_view what, std::uint64_t done, std::uint64_t total, std::string_view extra = {});
  // The text alone; an empty one erases the line.
  void show(std::string_view text);

 private:
  bool is_due(Instant now);
  double rate(std::string_view what, std::uint64_t done, Instant now);
  bool enabled_;
  bool drawn_ = false;
  Instant last_;
  std::string what_;
  std::deque<std::pair<Instant, std::uint64_t>> seen_;  // of the last seconds, oldest first
};

// The events of `deploy --progress json`, a line each on stdout; where there are several disks, with the selector as "disk":
//   {"event":"stage","stage":"transfer","seconds":0.41}
//   {"event":"progress","stage":"transfer","seconds":1.2,"bytes":{"total","depot","peers","multicast","local","moved","verified",
//    "durable","read_back"},"rate":bytes a second,"eta_seconds":n | null,"peers":n,"depot_up":true}          (twice a
//    second)
//   {"event":"finished","verdict":"success"|"failure"|"refused","code":0,"error":"","seconds":…,"receipt_delivered":true}
class DeployProgress {
 public:
  // `disk`: what its events and line name, where several are written; else empty.
  DeployProgress(ProgressMode mode, std::string disk);
  void update(const deploy::Progress& progress);
  void finished(const deploy::Outcome& outcome);

 private:
  void print_event(const deploy::Progress& progress) const;
  void print(boost::json::object event) const;
  ProgressMode mode_;
  const std::string disk_;
  ProgressLine line_;
  std::string stage_;
  double stage_start_ = 0;
  double last_event_ = -1;
  double last_seconds_ = 0;
};

}  // namespace stampede::tools
