#include "tools/stampede/command.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <boost/json.hpp>

#include "src/base/file.h"

namespace stampede::tools {

void add_store_option(CLI::App& command, std::filesystem::path& store) {
  const char* from_environment = std::getenv("STAMPEDE_STORE");  // NOLINT(concurrency-mt-unsafe): before any thread
  store = from_environment != nullptr && *from_environment != '\0' ? from_environment : "/var/lib/stampede";
  command.add_option("--store", store, "The store's folder; made on first use")->capture_default_str()->type_name("DIR");
}

Result<std::unique_ptr<cache::Store>> open_store(const std::filesystem::path& folder) {
  STAMPEDE_TRY(auto store, cache::Store::open(folder, system_clock()));
  for (const std::string& line : store->recovered()) note(line);
  return store;
}

namespace {
std::atomic<int> output_error = 0;  // the first errno value
}

void print(std::string_view line) {
  errno = 0;
  const bool out = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() && std::fputc('\n', stdout) != EOF &&
                   std::fflush(stdout) == 0;
  int none = 0;
  if (!out) output_error.compare_exchange_strong(none, errno != 0 ? errno : EIO);
}

Result<> finish_output() {
  const int error = output_error;
  if (error == 0) return {};
  return fail(error == ENOSPC ? Code::no_space : Code::write_failed, "cannot write to standard output: {}",
              errno_text(error));
}

void print_json(const boost::json::value& value) { print(boost::json::serialize(value)); }

void note(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fputc('\n', stderr);
}

std::string default_state() {
  const char* from_environment = std::getenv("STAMPEDE_STATE");  // NOLINT(concurrency-mt-unsafe): before any thread
  return from_environment != nullptr && *from_environment != '\0' ? from_environment : "/var/lib/stampede-node";
}

Result<std::optional<trust::JoinToken>> read_token(const std::string& file) {
  if (file.empty()) return std::nullopt;
  STAMPEDE_TRY(const Bytes bytes, read_file(file, 64_KiB));
  STAMPEDE_TRY(auto token, trust::parse_token(as_text(bytes)));
  return token;
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double seconds = 0;
  if (unit == "ms") seconds = 0.001;
  if (unit == "s" || unit.empty()) seconds = 1;
  if (unit == "m") seconds = 60;
  if (unit == "h") seconds = 3600;
  if (unit == "d") seconds = 86400;
  if (error != std::errc{} || seconds == 0 || !(value >= 0) || value * seconds > 1e9)
    return fail(Code::usage, "'{}' is not a time; write 500ms, 30s, 15m, 2h or 1d", text);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(value * seconds * 1e9));
}

Result<double> parse_bit_rate(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const double factor = unit == "k" ? 1e3 : unit == "M" ? 1e6 : unit == "G" ? 1e9 : 0;
  const double bits = value * factor;
  if (error != std::errc{} || !(bits >= 1e5) || bits > 1e12)
    return fail(Code::usage, "'{}' is not a rate in bits a second of at least 100k; write 500k, 940M or 9.4G", text);
  return bits / 8;
}

namespace {
std::atomic<bool> stop = false;

extern "C" void on_signal(int number) {
  if (stop.exchange(true)) std::_Exit(128 + number);
}
}  // namespace

const std::atomic<bool>& stop_requested() { return stop; }

void catch_signals() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

}  // namespace stampede::tools
