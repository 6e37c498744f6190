#include "tools/stampede/depot_options.h"

namespace stampede::tools {

void add_depot_options(CLI::App& command, DepotArguments& arguments, bool required) {
  command.add_option("--depot", arguments.depot, fmt::format("The depot's address; port {} unless given", net::kDepotPort))
      ->type_name("HOST[:PORT]")
      ->required(required);
  command
      .add_option("--token-file", arguments.token_file, "A join token of that depot, for a machine that has yet to enrol")
      ->type_name("FILE");
  command.add_option("--state", arguments.state, "Keeps this machine's key and enrolment")
      ->capture_default_str()
      ->type_name("DIR");
  command.add_option("--patience", arguments.patience, "How long to wait for a depot that is away")
      ->capture_default_str()
      ->type_name("TIME");
}

Result<> read_depot_options(const DepotArguments& arguments, deploy::AccessOptions& options) {
  STAMPEDE_TRY(options.depot, net::Endpoint::parse(arguments.depot, net::kDepotPort));
  STAMPEDE_TRY(options.patience, parse_duration(arguments.patience));
  STAMPEDE_TRY(options.token, read_token(arguments.token_file));
  options.state = arguments.state;
  options.peer_listen.reset();
  options.transfer = net::Transfer::depot;
  options.warn = [](std::string_view text) { note(fmt::format("stampede: {}", text)); };
  options.stop = &stop_requested();
  return {};
}

}  // namespace stampede::tools
