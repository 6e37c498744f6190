#include "tools/stampede/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdio>

#include "tools/stampede/command.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {
double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string clock_text(double seconds) {
  const auto whole = static_cast<unsigned>(std::lround(seconds));
  return whole < 3600 ? fmt::format("{}:{:02}", whole / 60, whole % 60)
                      : fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}
}  // namespace

std::string paths_text(const deploy::ByteCounts& bytes) {
  return fmt::format("{} by multicast, {} from the depot, {} from peers", human_size(bytes.multicast),
                     human_size(bytes.depot), human_size(bytes.peers));
}

namespace {
// Cut to the terminal's width: of a line that wraps only the last row would be drawn over.
void draw(std::string_view text) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) text = text.substr(0, size.ws_col - 1U);
  std::fputs(fmt::format("\r{}\033[K", text).c_str(), stderr);
  std::fflush(stderr);
}
}  // namespace

ProgressLine::ProgressLine(bool enabled) : enabled_(enabled && ::isatty(STDERR_FILENO) == 1) {}

void ProgressLine::finish() {
  if (std::exchange(drawn_, false)) std::fputs("\r\033[K", stderr);
  enabled_ = false;
}

void ProgressLine::show(std::string_view what, std::uint64_t done, std::uint64_t total, std::string_view extra) {
  const Instant now = system_clock().now();
  if (!is_due(now)) return;
  const double speed = rate(what, done, now);
  std::string text = fmt::format("{:<10} {}", what, human_size(done));
  if (total > 0) text += fmt::format(" of {}", human_size(total));
  if (total > 0) text += fmt::format("  {:3.0f}%", 100.0 * static_cast<double>(done) / static_cast<double>(total));
  text += fmt::format("  {}/s", human_size(static_cast<std::uint64_t>(speed)));
  if (speed > 0 && done < total) text += fmt::format("  {} left", clock_text(static_cast<double>(total - done) / speed));
  if (!extra.empty()) text += fmt::format("  {}", extra);
  draw(text);
}

void ProgressLine::show(std::string_view text) {
  if (text.empty() ? !drawn_ : !is_due(system_clock().now())) return;
  draw(text);
  drawn_ = !text.empty();
}

bool ProgressLine::is_due(Instant now) {
  if (!enabled_ || (drawn_ && now - last_ < std::chrono::milliseconds(100))) return false;
  last_ = now;
  return drawn_ = true;
}

namespace {
// What share of what came came by multicast.
std::string multicast_text(const deploy::ByteCounts& bytes) {
  const std::uint64_t all = bytes.multicast + bytes.depot + bytes.peers;
  return bytes.multicast == 0 ? std::string() : fmt::format("{} % by multicast, ", bytes.multicast * 100 / all);
}
}  // namespace

// Bytes a second, over the last five seconds of one job.
double ProgressLine::rate(std::string_view what, std::uint64_t done, Instant now) {
  if (what != what_ || (!seen_.empty() && done < seen_.back().second)) seen_.clear();
  what_ = what;
  seen_.emplace_back(now, done);
  while (now - seen_.front().first > std::chrono::seconds(5) && seen_.size() > 2) seen_.pop_front();
  const auto& [then, before] = seen_.front();
  return static_cast<double>(done - before) / std::max(0.001, seconds_of(now - then));
}

DeployProgress::DeployProgress(ProgressMode mode, std::string disk)
    : mode_(mode), disk_(std::move(disk)), line_(mode == ProgressMode::automatic) {}

void DeployProgress::print(json::object event) const {
  if (!disk_.empty()) event["disk"] = disk_;
  print_json(event);
}

void DeployProgress::update(const deploy::Progress& progress) {
  last_seconds_ = progress.seconds;
  const bool new_stage = stage_ != progress.stage;
  if (new_stage) {
    stage_ = progress.stage;
    stage_start_ = progress.seconds;
  }
  if (mode_ == ProgressMode::automatic) {
    const bool reading = progress.stage == "read-back";
    line_.show(progress.stage, reading ? progress.read_back : progress.bytes.verified, progress.bytes.total,
               fmt::format("{}{}{} peers{}", disk_.empty() ? "" : disk_ + ", ", multicast_text(progress.bytes),
                           progress.peers, progress.depot_up ? "" : ", waiting for the depot"));
  }
  if (mode_ != ProgressMode::json) return;
  if (new_stage) print(json::object{{"event", "stage"}, {"stage", stage_}, {"seconds", progress.seconds}});
  if (progress.seconds - last_event_ < 0.5) return;
  last_event_ = progress.seconds;
  print_event(progress);
}

void DeployProgress::print_event(const deploy::Progress& progress) const {
  const auto& bytes = progress.bytes;
  const bool reading = progress.stage == "read-back";
  const std::uint64_t local = std::min(bytes.local + bytes.moved, bytes.verified);  // `verified` is counted later
  const std::uint64_t done = reading ? progress.read_back : bytes.verified - local;
  const std::uint64_t all = reading ? bytes.total : bytes.total - std::min(bytes.total, bytes.local + bytes.moved);
  const double elapsed = progress.seconds - stage_start_;
  const double rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0;
  json::value eta = nullptr;
  if (rate > 0 && done <= all) eta = static_cast<double>(all - done) / rate;
  print(json::object{{"event", "progress"},
                     {"stage", progress.stage},
                     {"seconds", progress.seconds},
                     {"bytes", json::object{{"total", bytes.total},
                                            {"depot", bytes.depot},
                                            {"peers", bytes.peers},
                                            {"multicast", bytes.multicast},
                                            {"local", bytes.local},
                                            {"moved", bytes.moved},
                                            {"verified", bytes.verified},
                                            {"durable", bytes.durable},
                                            {"read_back", progress.read_back}}},
                     {"rate", rate},
                     {"eta_seconds", eta},
                     {"peers", progress.peers},
                     {"depot_up", progress.depot_up}});
}

void DeployProgress::finished(const deploy::Outcome& outcome) {
  line_.finish();
  if (mode_ != ProgressMode::json) return;
  print(json::object{{"event", "finished"},
                     {"verdict", deploy::name_of(outcome.receipt.verdict)},
                     {"code", outcome.receipt.code},
                     {"error", outcome.receipt.error},
                     {"seconds", last_seconds_},
                     {"receipt_delivered", outcome.delivered}});
}

}  // namespace stampede::tools
