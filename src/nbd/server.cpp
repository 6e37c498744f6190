#include "src/nbd/server.h"

#include <signal.h>

#include <chrono>
#include <thread>

#include "src/base/seams.h"
#include "src/nbd/socket_folder.h"

namespace stampede::nbd {

namespace {

constexpr std::chrono::milliseconds kTick{2};
// To end: it writes what it still holds.
constexpr std::chrono::minutes kPatienceToEnd{2};

}  // namespace

Result<std::unique_ptr<Server>> Server::serve(const File& image, std::string_view format, bool direct) {
  const auto tool = volume::find_tool("qemu-nbd", "qemu-utils");
  if (!tool) return fail(Code::usage, "{}", tool.error().message);
  STAMPEDE_TRY(const auto guard, volume::find_tool("setpriv", "util-linux"));
  STAMPEDE_TRY(const SocketFolder folder, SocketFolder::make());
  std::vector<std::string> arguments{"--pdeathsig", "KILL", "--", *tool, "--discard=unmap", "--detect-zeroes=unmap"};
  arguments.push_back(fmt::format("--socket={}", folder.socket().string()));
  arguments.push_back(fmt::format("--shared={}", kConnections));
  arguments.push_back(fmt::format("--format={}", format));
  arguments.push_back(fmt::format("--cache={}", direct ? "none" : "writeback"));
  arguments.emplace_back(volume::kToolFile);
  STAMPEDE_TRY(auto program, volume::RunningTool::start(guard, std::move(arguments), image));
  std::unique_ptr<Server> server(new Server(std::move(program)));
  while (server->connections_.size() < kConnections) {
    STAMPEDE_TRY(auto connection, connect_to(*server->program_, folder.socket()));
    server->connections_.push_back(std::move(connection));
  }
  return server;
}

std::unique_ptr<Connection> Server::connection() {
  auto connection = std::move(connections_.back());
  connections_.pop_back();
  return connection;
}

Result<> Server::stop() {
  program_->signal(SIGTERM);
  for (const Instant end = system_clock().now() + kPatienceToEnd; system_clock().now() < end;
       std::this_thread::sleep_for(kTick)) {
    STAMPEDE_TRY(const auto ended, program_->ended());
    if (!ended) continue;
    if (ended->status == 0) return {};
    return fail(Code::write_failed, "qemu-nbd: {}", ended->last_line());
  }
  return fail(Code::write_failed, "qemu-nbd does not end");
}

}  // namespace stampede::nbd
