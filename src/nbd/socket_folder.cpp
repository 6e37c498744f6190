#include "src/nbd/socket_folder.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "src/base/seams.h"

namespace stampede::nbd {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kTick{2};
constexpr std::chrono::seconds kPatience{10};

// "Failed to blk_new_open 'json:{…}': what matters"
std::string reason(const std::string& said) {
  const std::size_t quoted = said.rfind("': ");
  return quoted == std::string::npos ? said : said.substr(quoted + 3);
}

}  // namespace

Result<SocketFolder> SocketFolder::make() {
  std::array<std::byte, 8> name{};
  system_random().fill(name);
  std::error_code error;
  SocketFolder folder(fs::temp_directory_path(error) / ("stampede-" + to_hex(name)));
  STAMPEDE_CHECK(make_folders(folder.inner()));
  return folder;
}

SocketFolder::~SocketFolder() {
  if (path_.empty()) return;
  ::unlink(socket().c_str());
  ::rmdir(inner().c_str());
  ::rmdir(path_.c_str());
}

Result<std::unique_ptr<Connection>> connect_to(volume::RunningTool& program, const fs::path& socket, bool tells_zeros) {
  std::string why;
  for (const Instant end = system_clock().now() + kPatience; system_clock().now() < end;
       std::this_thread::sleep_for(kTick)) {
    STAMPEDE_TRY(const auto ended, program.ended());
    if (ended) return fail(Code::usage, "qemu-nbd: {}", reason(ended->last_line()));
    auto connection = Connection::open(socket, tells_zeros);
    if (connection || connection.error().code == Code::usage) return connection;
    why = connection.error().message;
  }
  return fail(Code::unreachable, "cannot connect to qemu-nbd: {}", why);
}

}  // namespace stampede::nbd
