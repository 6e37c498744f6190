#include "src/disk/nbd.h"

#include <libnbd.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "src/base/seams.h"

namespace stampede::disk {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kTick{2};
constexpr std::chrono::seconds kPatience{10};
// To end: it writes what it still holds.
constexpr std::chrono::minutes kPatienceToEnd{2};

// A folder of our own for the server's socket, which nobody needs once all are connected.
class SocketFolder {
 public:
  static Result<SocketFolder> make() {
    std::array<std::byte, 8> name{};
    system_random().fill(name);
    std::error_code error;
    fs::path path = fs::temp_directory_path(error) / ("stampede-" + to_hex(name));
    STAMPEDE_CHECK(make_folders(path));
    return SocketFolder(std::move(path));
  }
  SocketFolder(SocketFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~SocketFolder() {
    if (path_.empty()) return;
    ::unlink(socket().c_str());
    ::rmdir(path_.c_str());
  }
  fs::path socket() const { return path_ / "nbd"; }

 private:
  explicit SocketFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

// Waits until the program listens.
Result<std::unique_ptr<NbdConnection>> connect(volume::RunningTool& program, const fs::path& socket) {
  std::string why;
  for (const Instant end = system_clock().now() + kPatience; system_clock().now() < end;
       std::this_thread::sleep_for(kTick)) {
    STAMPEDE_TRY(const auto ended, program.ended());
    if (ended) return fail(Code::usage, "qemu-nbd: {}", ended->last_line());
    auto connection = std::make_unique<NbdConnection>(::nbd_create());
    if (connection->handle() == nullptr) return fail(Code::internal, "libnbd: {}", ::nbd_get_error());
    ::nbd_set_pread_initialize(connection->handle(), false);  // every byte is overwritten, or the read fails
    if (::nbd_connect_unix(connection->handle(), socket.c_str()) == 0) return connection;
    why = ::nbd_get_error();
  }
  return fail(Code::usage, "cannot connect to qemu-nbd: {}", why);
}

}  // namespace

void NbdConnection::Close::operator()(nbd_handle* handle) const { ::nbd_close(handle); }

int nbd_error(nbd_handle* handle) {
  if (::nbd_aio_is_dead(handle) > 0 || ::nbd_aio_is_closed(handle) > 0) return ENOTCONN;
  const int error = ::nbd_get_errno();
  return error == 0 ? EIO : error;
}

int NbdConnection::outcome(int result) const {
  if (result != 0) errno = nbd_error(handle());
  return result;
}

ssize_t NbdConnection::read(std::uint64_t at, MutableBytes out) {
  return outcome(::nbd_pread(handle(), out.data(), out.size(), at, 0)) == 0 ? static_cast<ssize_t>(out.size()) : -1;
}

ssize_t NbdConnection::write(std::uint64_t at, ByteView bytes) {
  return outcome(::nbd_pwrite(handle(), bytes.data(), bytes.size(), at, 0)) == 0 ? static_cast<ssize_t>(bytes.size()) : -1;
}

int NbdConnection::flush() { return outcome(::nbd_flush(handle(), 0)); }

Result<std::unique_ptr<NbdServer>> NbdServer::serve(const File& image, std::string_view format, bool direct) {
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
  std::unique_ptr<NbdServer> server(new NbdServer(std::move(program)));
  while (server->connections_.size() < kConnections) {
    STAMPEDE_TRY(auto connection, connect(*server->program_, folder.socket()));
    server->connections_.push_back(std::move(connection));
  }
  return server;
}

std::unique_ptr<NbdConnection> NbdServer::connection() {
  auto connection = std::move(connections_.back());
  connections_.pop_back();
  return connection;
}

Result<> NbdServer::stop() {
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

}  // namespace stampede::disk
