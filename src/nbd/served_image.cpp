#include "src/nbd/served_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "src/nbd/socket_folder.h"

namespace stampede::nbd {

namespace {

// The numbers under which the program is handed the file's socket, and the folder in which it makes its own.
constexpr int kFile = volume::kToolFileNumber, kFolder = kFile + 1;

// Backing files are never opened, whatever the file says: where its format has them, there is none. A format that knows of
// none refuses to be told so.
std::string description(std::string_view driver) {
  return fmt::format(
      R"(json:{{"driver":"{}",{}"read-only":true,"file":{{"driver":"nbd","server":{{"type":"fd","str":"{}"}}}}}})", driver,
      driver == "qcow2" || driver == "vmdk" ? R"("backing":null,)" : "", kFile);
}

// Others of the same user do not reach the folder, which is inside one of ours, but by this descriptor.
Result<File> open_inner(const SocketFolder& folder) {
  if (::geteuid() == 0 && ::chown(folder.inner().c_str(), volume::kNobody, volume::kNobody) != 0)
    return fail(Code::internal, "cannot give {} away: {}", folder.inner().string(), errno_text(errno));
  return File::open(folder.inner(), O_PATH | O_DIRECTORY);
}

}  // namespace

Result<std::unique_ptr<ServedImage>> ServedImage::serve(const File& file, std::string_view driver, FileEnd end,
                                                        const volume::Confinement& limits) {
  const auto tool = volume::find_tool("qemu-nbd", "qemu-utils");
  if (!tool) return fail(Code::usage, "{}", tool.error().message);
  STAMPEDE_TRY(const SocketFolder folder, SocketFolder::make());
  STAMPEDE_TRY(const File inner, open_inner(folder));
  std::vector<std::string> arguments{"--read-only", fmt::format("--socket=/proc/self/fd/{}/nbd", kFolder),
                                     description(driver)};
  STAMPEDE_TRY(auto command, volume::confine(*tool, std::move(arguments), limits));
  std::unique_ptr<ServedImage> image(new ServedImage);
  STAMPEDE_TRY(image->raw_, RawServer::start(file, end));
  {
    const File client = image->raw_->take_client();
    const std::array<const File*, 2> handed{&client, &inner};
    STAMPEDE_TRY(image->program_, volume::RunningTool::start(command.path, std::move(command.arguments), handed));
  }
  auto connection = connect_to(*image->program_, folder.socket(), true);
  if (!connection && image->past_end())
    return fail(Code::usage, "{} is cut short: its tables lie beyond its end", file.name());
  if (!connection) return fail(connection.error().code, "{} cannot be read: {}", file.name(), connection.error().message);
  image->connection_ = *std::move(connection);
  return image;
}

std::string ServedImage::last_words() {
  // Its connection ends a little earlier than itself.
  for (int i = 0; i < 50; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10))) {
    const auto ended = program_->ended();
    if (!ended) return "it has ended";
    if (!*ended) continue;
    // unshare (util-linux 2.38) cannot end by SIGKILL, as its child did, and says so.
    const std::string said = (*ended)->last_line();
    return (*ended)->status > 128 || said.starts_with("unshare: ")
               ? "it was killed, most likely because it took more memory or processor time than it may"
               : said;
  }
  return "it goes on";
}

}  // namespace stampede::nbd
