#include <boost/json.hpp>

#include "src/deploy/rehearsal.h"
#include "tools/stampede/depot_options.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct TestArguments {
  std::string name;
  DepotArguments depot;
  bool as_json = false;
};

double monotonic(Instant instant) { return std::chrono::duration<double>(instant.time_since_epoch()).count(); }

double loss_of(const net::SwarmStatus& status) {
  const auto sent = static_cast<double>(status.multicast_packets + status.multicast_lost);
  return sent > 0 ? static_cast<double>(status.multicast_lost) / sent : 0;
}

deploy::ByteCounts counts_of(const deploy::Rehearsal& done) {
  deploy::ByteCounts bytes;
  bytes.depot = done.status.from_depot;
  bytes.peers = done.status.from_peers;
  bytes.multicast = done.status.from_multicast;
  return bytes;
}

void print_as_json(const TestArguments& arguments, const deploy::Rehearsal& done) {
  const auto& status = done.status;
  json::value began = nullptr;
  if (status.multicast_began) began = monotonic(*status.multicast_began);
  print_json(json::object{
      {"image", arguments.name},
      {"data", done.data.bytes},
      {"joining_seconds", done.joining},
      {"receiving_seconds", done.receiving},
      {"bytes",
       json::object{{"multicast", status.from_multicast}, {"depot", status.from_depot}, {"peers", status.from_peers}}},
      {"packets", status.multicast_packets},
      {"lost", status.multicast_lost},
      {"left_multicast", status.left_multicast},
      // Of the machine's monotonic clock, in seconds: to be compared with other runs on it.
      {"clock", json::object{{"joined", monotonic(done.began)},
                             {"first_packet", began},
                             {"complete", monotonic(done.began) + done.receiving}}}});
}

void print_for_people(const TestArguments& arguments, const deploy::Rehearsal& done) {
  const auto& status = done.status;
  const std::uint64_t all = status.from_multicast + status.from_depot + status.from_peers;
  print(fmt::format("{}: {} received and verified in {:.2f} s ({}/s): {}", arguments.name, human_size(done.data.bytes),
                    done.receiving, human_size(static_cast<std::uint64_t>(static_cast<double>(all) / done.receiving)),
                    paths_text(counts_of(done))));
  if (status.multicast_packets > 0) {
    print(fmt::format("multicast: {} packets, {:.2f} % lost on the way", status.multicast_packets, 100 * loss_of(status)));
    if (status.from_multicast < all / 2)
      print(
          "multicast: most came otherwise. Did it stop in the middle? With IGMP snooping and no querier switches forget the "
          "group; a receiver far slower than the others is left to the swarm.");
    return;
  }
  print(
      "multicast: no packet arrived. Does the depot offer it (serve --multicast on, and its log)? Is there an IGMP "
      "querier,");
  print(
      "or is snooping off, on the switches between? Do both have an address on this network, and does no filter drop UDP?");
}

Result<> test(const TestArguments& arguments) {
  deploy::RehearsalOptions options;
  STAMPEDE_TRY(options.image, chunker::ImageRef::parse(arguments.name));
  STAMPEDE_CHECK(read_depot_options(arguments.depot, options));
  options.transfer = net::Transfer::multicast;
  catch_signals();
  ProgressLine line(true);
  options.progress = [&](const net::SwarmStatus& status, Size verified, Size total) {
    line.show("receiving", verified.bytes, total.bytes, fmt::format("{:.2f} % lost", 100 * loss_of(status)));
  };
  STAMPEDE_TRY(const auto done, deploy::rehearse(options));
  line.finish();
  if (arguments.as_json)
    print_as_json(arguments, done);
  else
    print_for_people(arguments, done);
  return {};
}

}  // namespace

void add_multicast(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("multicast", "Whether multicast reaches THIS machine, before the night of a rollout");
  command->require_subcommand(1);
  auto* test_command = command->add_subcommand(
      "test", "Receives an image on THIS machine as a deployment would, verifies it and throws it away; writes no disk");
  auto arguments = std::make_shared<TestArguments>();
  TestArguments& a = *arguments;
  a.depot.patience = "30s";
  add_image_argument(*test_command, a.name);
  add_depot_options(*test_command, a.depot);
  test_command->add_flag("--json", a.as_json, "Print JSON");
  test_command->footer(
      "Run it on several machines at once: they share one stream.\n"
      "Example: stampede multicast test debian:12 --depot 10.0.0.1 --token-file join.token");
  test_command->callback([=, &action] { action = [=] { return test(*arguments); }; });
}

}  // namespace stampede::tools
