#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "src/nbd/raw_server.h"

using namespace stampede;

// What a client sends, all at once; what it gets is thrown away.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const File file(::memfd_create("fuzz", MFD_CLOEXEC), "fuzz");
  if (!file.truncate({65536})) return 0;
  const auto server = nbd::RawServer::start(file, size % 2 == 0 ? nbd::FileEnd::told : nbd::FileEnd::padded);
  if (!server) return 0;
  const File client = (*server)->take_client();
  if (::send(client.fd(), data, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return 0;
  ::shutdown(client.fd(), SHUT_WR);
  std::array<std::byte, 4096> got{};
  while (::recv(client.fd(), got.data(), got.size(), 0) > 0) {
  }
  return 0;
}
