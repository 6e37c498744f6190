// What the subcommands share: registering themselves, the store they work on, printing results and errors, and the exit
// code. Each subcommand is one thin file: options in, one call into a room, output.
#pragma once

#include <atomic>
#include <boost/json/fwd.hpp>
#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>

#include "cache/store.h"
#include "src/base/error.h"
#include "src/trust/token.h"

namespace stampede::tools {

// What main() runs after the command line is understood; the Result's error becomes message and exit code.
using Action = std::function<Result<>()>;

// Each adds its subcommand(s) to `app` and sets `action` when it is chosen.
void add_image(CLI::App& app, Action& action);
void add_store(CLI::App& app, Action& action);
void add_serve(CLI::App& app, Action& action);
void add_token(CLI::App& app, Action& action);
void add_deploy(CLI::App& app, Action& action);
void add_multicast(CLI::App& app, Action& action);
void add_disks(CLI::App& app, Action& action);
void add_drift(CLI::App& app, Action& action);
void add_disk(CLI::App& app, Action& action);
void add_receipt(CLI::App& app, Action& action);

// --store, defaulting to $STAMPEDE_STORE, else /var/lib/stampede.
void add_store_option(CLI::App& command, std::filesystem::path& store);
Result<std::unique_ptr<cache::Store>> open_store(const std::filesystem::path& folder);

// The image that a command is about (chunker::ImageRef), as its next argument.
void add_image_argument(CLI::App& command, std::string& image);

// $STAMPEDE_STATE, else /var/lib/stampede-node: where a node keeps its key and enrolment.
std::string default_state();
// Nothing where no file is named. Errors: usage, token_invalid.
Result<std::optional<trust::JoinToken>> read_token(const std::string& file);

// A line of JSON on stdout, flushed.
void print_json(const boost::json::value& value);
// A line on stdout, flushed; write errors (a full disk) become the command's error at the end.
void print(std::string_view line);
// Whether all that was printed got out. Errors: no_space, write_failed.
Result<> finish_output();
// A note for people, on stderr.
void note(std::string_view line);

// "15m", "2h", "30s", "1d", "500ms". Error: usage.
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

// "40G", "1.5T": powers of 1000, as disks are sold; "40Gi": of 1024. Error: usage.
Result<Size> parse_size(std::string_view text);

// "940M", "9.4G", "500k": bits a second. Bytes a second. Error: usage.
Result<double> parse_bit_rate(std::string_view text);

// Set by SIGINT and SIGTERM; a second signal ends the process at once.
const std::atomic<bool>& stop_requested();
void catch_signals();

}  // namespace stampede::tools
