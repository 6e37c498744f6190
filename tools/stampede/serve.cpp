#include <spdlog/spdlog.h>

#include <thread>

#include "src/service/depot.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

namespace {

Result<> serve(const std::filesystem::path& folder, const std::string& listen) {
  STAMPEDE_TRY(const auto endpoint, net::Endpoint::parse(listen, net::kDepotPort));
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(folder));
  STAMPEDE_TRY(const auto site, service::open_site(folder));
  STAMPEDE_TRY(const auto depot, service::Depot::start(*store, site, {endpoint}));
  spdlog::info("depot of site {} serves {} on {}", trust::short_name(site.authority.public_key()), folder.string(),
               depot->local().text());
  while (!stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  spdlog::info("stopping");
  return {};
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("serve", "Runs the depot on this machine: serves its images to targets until interrupted");
  auto folder = std::make_shared<std::filesystem::path>();
  auto listen = std::make_shared<std::string>(fmt::format(":{}", net::kDepotPort));
  add_store_option(*command, *folder);
  command->add_option("--listen", *listen, "Numeric address and port; without an address, all of this machine's")
      ->capture_default_str();
  command->footer("Example: stampede serve --store /srv/stampede --listen 10.0.0.1:7440");
  command->callback([=, &action] { action = [=] { return serve(*folder, *listen); }; });
}

}  // namespace stampede::tools
