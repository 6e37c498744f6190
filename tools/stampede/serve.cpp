#include <spdlog/spdlog.h>
#include <charconv>

#include <thread>

#include "src/service/depot.h"
#include "src/service/http_bridge.h"
#include "tools/stampede/command.h"
#include "tools/stampede/progress.h"
#include "transport/net/datagram.h"

namespace stampede::tools {

namespace {

struct ServeArguments {
  std::filesystem::path store;
  std::string listen = fmt::format(":{}", net::kDepotPort);
  std::string multicast = "on";
  std::string group = service::CastOptions{}.group.text();
  std::vector<std::string> interfaces;
  std::string rate = "940M";
  bool fixed_rate = false;
  unsigned ttl = 1;
  std::string mtu = "auto";
  unsigned min_receivers = 1;
  std::string wait = "30s";
  std::string http;
};

Result<std::optional<std::size_t>> read_mtu(const std::string& text) {
  if (text == "auto") return std::nullopt;
  std::size_t mtu = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mtu);
  if (error != std::errc{} || end != text.data() + text.size() || mtu < 576 || mtu > 9216)
    return fail(Code::usage, "--multicast-mtu: auto, or 576 to 9216 bytes, not '{}'", text);
  return mtu;
}

Result<std::optional<service::CastOptions>> read_multicast(const ServeArguments& arguments) {
  if (arguments.multicast == "off") return std::nullopt;
  service::CastOptions options;
  STAMPEDE_TRY(options.group, net::Endpoint::parse(arguments.group, options.group.port));
  STAMPEDE_CHECK(net::check_group(options.group));
  if (options.group.port > 65535 - service::kCastPorts)
    return fail(Code::usage, "--multicast-group: a port up to {}: images that are deployed at once take it and those above",
                65535 - service::kCastPorts);
  for (const auto& name : arguments.interfaces) {
    STAMPEDE_TRY(const unsigned index, net::interface_named(name));
    options.interfaces.push_back(index);
  }
  options.fixed_rate = arguments.fixed_rate;
  options.ttl = arguments.ttl;
  STAMPEDE_TRY(options.most, read_mtu(arguments.mtu));
  options.min_members = arguments.min_receivers;
  STAMPEDE_TRY(options.wait, parse_duration(arguments.wait));
  STAMPEDE_TRY(options.rate, parse_bit_rate(arguments.rate));
  return options;
}

// "8 receivers, 912 Mbit/s, 0.2 % lost, 61 % of the image is everywhere"
std::string text_of(const net::CastStatus& stream) {
  const std::string at =
      fmt::format("multicast on {} to {}: ", net::name_of_interface(stream.interface), stream.group.text());
  if (stream.phase == net::CastStatus::Phase::waiting && stream.members >= stream.wanted_members)
    return at + fmt::format("{} receiver{}, starting", stream.members, stream.members == 1 ? "" : "s");
  if (stream.phase == net::CastStatus::Phase::waiting)
    return at + fmt::format("{} of {} receivers, waiting for the others", stream.members, stream.wanted_members);
  return at + fmt::format("{} receiver{}, {:.0f} Mbit/s, {:.1f} % lost, {} % of the image is everywhere", stream.members,
                          stream.members == 1 ? "" : "s", stream.rate * 8e-6, 100 * stream.loss,
                          std::uint64_t{100} * (stream.spans - stream.lacked) / std::max(1U, stream.spans));
}

// While streams run: the first that does, and how many more.
std::string text_of(std::vector<net::CastStatus> streams) {
  std::erase_if(streams, [](const auto& stream) { return stream.phase == net::CastStatus::Phase::idle; });
  if (streams.empty()) return {};
  return text_of(streams.front()) + (streams.size() == 1 ? "" : fmt::format("; and {} more", streams.size() - 1));
}

Result<std::optional<net::Endpoint>> read_http(const std::string& text) {
  if (text.empty()) return std::nullopt;
  STAMPEDE_TRY(auto at, net::Endpoint::parse(text, 0));
  if (at.port == 0 && !text.ends_with(":0"))
    return fail(Code::usage, "--http: an address and port, or :PORT, not '{}'", text);
  return at;
}

// Off unless asked for: it knows no tokens and no certificates.
Result<std::unique_ptr<service::HttpBridge>> start_http(cache::Store& store, const std::optional<net::Endpoint>& at) {
  if (!at) return nullptr;
  STAMPEDE_TRY(auto bridge, service::HttpBridge::start(store, {*at}));
  const std::string local = bridge->local().text();
  spdlog::warn("casync and others may pull from http://{}/casync/NAME:TAG.caibx; whoever reaches it can read every image",
               local);
  return bridge;
}

Result<> serve(const ServeArguments& arguments) {
  service::DepotOptions options;
  STAMPEDE_TRY(options.listen, net::Endpoint::parse(arguments.listen, net::kDepotPort));
  STAMPEDE_TRY(options.multicast, read_multicast(arguments));
  STAMPEDE_TRY(const auto http_at, read_http(arguments.http));
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto site, service::open_site(arguments.store));
  STAMPEDE_TRY(const auto depot, service::Depot::start(*store, site, options));
  spdlog::info("depot of site {} serves {} on {}", trust::short_name(site.authority.public_key()), arguments.store.string(),
               depot->local().text());
  STAMPEDE_TRY(const auto http, start_http(*store, http_at));
  if (options.multicast)
    spdlog::info("multicast to {} at up to {}bit/s a stream; a switch without IGMP snooping floods it to every port",
                 options.multicast->group.text(), arguments.rate);
  ProgressLine line(true);
  while (!stop_requested()) {
    if (line.is_seen()) line.show(text_of(depot->streams()));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  line.finish();
  spdlog::info("stopping");
  return {};
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("serve", "Runs the depot on this machine: serves its images to targets until interrupted");
  auto arguments = std::make_shared<ServeArguments>();
  ServeArguments& a = *arguments;
  add_store_option(*command, a.store);
  command->add_option("--listen", a.listen, "Numeric address and port; without an address, all of this machine's")
      ->capture_default_str();
  command
      ->add_option("--multicast", a.multicast,
                   "Send images by multicast as well; targets fall back where it does not arrive")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  command->add_option("--multicast-group", a.group, "IPv4 or IPv6 group and first port")->capture_default_str();
  command
      ->add_option("--multicast-interface", a.interfaces,
                   "Only on this interface; may be given several times. Else on each that targets come by")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--multicast-rate", a.rate, "Bits a second on the wire that a stream takes at most: 940M, 9.4G")
      ->capture_default_str();
  command->add_flag("--multicast-fixed-rate", a.fixed_rate,
                    "Keep that rate whatever targets report: for a network of its own");
  command
      ->add_option("--multicast-mtu", a.mtu,
                   "Bytes of a packet; auto: what TCP says of the way to a stream's first target. Who cannot take them gets "
                   "the image without multicast")
      ->capture_default_str();
  command->add_option("--multicast-ttl", a.ttl, "Routers that a packet may pass, and one")
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
  command
      ->add_option("--min-receivers", a.min_receivers, "A stream starts when so many have joined it; later ones may still")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--wait", a.wait, "… or so long after the first")->capture_default_str()->type_name("TIME");
  command
      ->add_option("--http", a.http,
                   "Also give images by plain HTTP, to casync, desync and caches (numeric address). No one is asked who he "
                   "is: whoever can reach it can read every image")
      ->type_name("ADDR:PORT");
  command->footer("Example: stampede serve --store /srv/stampede --listen 10.0.0.1:7440 --http 10.0.0.1:7480");
  command->callback([=, &action] { action = [=] { return serve(*arguments); }; });
}

}  // namespace stampede::tools
