#include "tools/stampede/command.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <boost/json.hpp>

#include "src/base/file.h"
#include "src/base/text.h"

namespace stampede::tools {

void add_store_option(CLI::App& command, std::filesystem::path& store) {
  const char* from_environment = std::getenv("STAMPEDE_STORE");  // NOLINT(concurrency-mt-unsafe): before any thread
  store = from_environment != nullptr && *from_environment != '\0' ? from_environment : "/var/lib/stampede";
  command.add_option("--store", store, "The store's folder; made on first use")->capture_default_str()->type_name("DIR");
}

void add_image_argument(CLI::App& command, std::string& image) {
  command.add_option("NAME:TAG", image, "The image: name:tag (:latest unless given), or name@ID by digits of its id")
      ->required();
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

namespace {
struct Quantity {
  double value = 0;  // never negative
  std::string_view unit;
};
std::optional<Quantity> parse_quantity(std::string_view text) {
  Quantity out;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.value);
  if (error != std::errc{} || !(out.value >= 0)) return std::nullopt;
  out.unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return out;
}
}  // namespace

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto quantity = parse_quantity(text);
  const std::string_view unit = quantity ? quantity->unit : "?";
  double factor = 0;
  if (unit == "ms") factor = 0.001;
  if (unit == "s" || unit.empty()) factor = 1;
  if (unit == "m") factor = 60;
  if (unit == "h") factor = 3600;
  if (unit == "d") factor = 86400;
  const double seconds = quantity ? quantity->value * factor : 0;
  if (factor == 0 || seconds > 1e9) return fail(Code::usage, "'{}' is not a time; write 500ms, 30s, 15m, 2h or 1d", text);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

Result<Size> parse_size(std::string_view text) {
  const auto quantity = parse_quantity(text);
  const double bytes = quantity ? quantity->value * unit_of(quantity->unit) : 0;
  if (!(bytes >= 1) || bytes > 9e18) return fail(Code::usage, "'{}' is not a size; write 40G, 1.5T or 512Mi", text);
  return Size{static_cast<std::uint64_t>(bytes)};
}

Result<double> parse_bit_rate(std::string_view text) {
  const auto quantity = parse_quantity(text);
  const std::string_view unit = quantity ? quantity->unit : "?";
  const double factor = unit == "k" ? 1e3 : unit == "M" ? 1e6 : unit == "G" ? 1e9 : 0;
  const double bits = quantity ? quantity->value * factor : 0;
  if (!(bits >= 1e5) || bits > 1e12)
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
