#include "src/nbd/raw_server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

namespace stampede::nbd {

namespace {

constexpr std::uint64_t kHello = 0x4e42444d41474943, kHaveOption = 0x49484156454f5054;  // "NBDMAGIC", "IHAVEOPT"
constexpr std::uint16_t kFixedNewstyle = 1;
constexpr std::uint64_t kOptionReply = 0x3e889045565a9;
constexpr std::uint32_t kOptionExportName = 1, kOptionAbort = 2, kOptionInfo = 6, kOptionGo = 7;
constexpr std::uint32_t kReplyAck = 1, kReplyInfo = 3, kReplyUnsupported = 0x80000001;
constexpr std::uint16_t kInfoExport = 0;
constexpr std::uint16_t kHasFlags = 1, kReadOnly = 2;
constexpr std::uint32_t kRequest = 0x25609513, kReply = 0x67446698;
constexpr std::uint16_t kRead = 0, kDisconnect = 2;
constexpr std::uint64_t kSector = 512;  // in which it is read

std::pair<MutableBytes, MutableBytes> parts(MutableBytes bytes, std::uint64_t first) {
  const std::size_t at = std::min<std::uint64_t>(bytes.size(), first);
  return {bytes.first(at), bytes.subspan(at)};
}

// The protocol is big-endian.
template <class... Numbers>
Bytes message(Numbers... numbers) {
  ByteWriter out;
  (out.number(std::byteswap(numbers)), ...);
  return out.take();
}
template <std::unsigned_integral T>
T number_at(ByteView bytes, std::size_t at) {
  return std::byteswap(load_le<T>(bytes.subspan(at)));
}

}  // namespace

Result<std::unique_ptr<RawServer>> RawServer::start(const File& file, FileEnd end) {
  STAMPEDE_TRY(const Size size, file.size());
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(Code::internal, "cannot make a socket pair: {}", errno_text(errno));
  return std::unique_ptr<RawServer>(new RawServer(file, end, size, File(ends[0], "socket"), File(ends[1], "socket")));
}

RawServer::RawServer(const File& file, FileEnd end, Size size, File server, File client)
    : file_(file), end_(end), size_(size), server_(std::move(server)), client_(std::move(client)), thread_([this] {
        run();
      }) {}

RawServer::~RawServer() {
  ::shutdown(server_.fd(), SHUT_RDWR);  // whatever it waits for comes to an end
}

void RawServer::run() {
  bool goes_on = negotiate();
  while (goes_on) goes_on = answer_request();
  ::shutdown(server_.fd(), SHUT_RDWR);
}

bool RawServer::negotiate() {
  std::array<std::byte, 4> flags{};
  if (!send(message(kHello, kHaveOption, kFixedNewstyle)) || !receive(flags)) return false;
  while (true) {
    std::array<std::byte, 16> head{};
    if (!receive(head) || number_at<std::uint64_t>(head, 0) != kHaveOption) return false;
    const auto option = number_at<std::uint32_t>(head, 8), length = number_at<std::uint32_t>(head, 12);
    if (length > kMostOption.bytes) return false;
    Bytes data(length);
    if (!receive(data) || option == kOptionAbort) return false;
    if (option == kOptionExportName) {
      static constexpr std::array<std::byte, 124> kPadding{};
      return send(message(told_size().bytes, std::uint16_t{kHasFlags | kReadOnly})) && send(kPadding);
    }
    if (!answer_option(option)) return false;
    if (option == kOptionGo) return true;
  }
}

bool RawServer::answer_option(std::uint32_t option) {
  if (option != kOptionGo && option != kOptionInfo)
    return send(message(kOptionReply, option, kReplyUnsupported, std::uint32_t{0}));
  return send(message(kOptionReply, option, kReplyInfo, std::uint32_t{12}, kInfoExport, told_size().bytes,
                      std::uint16_t{kHasFlags | kReadOnly})) &&
         send(message(kOptionReply, option, kReplyAck, std::uint32_t{0}));
}

bool RawServer::answer_request() {
  std::array<std::byte, 28> request{};
  if (!receive(request) || number_at<std::uint32_t>(request, 0) != kRequest) return false;
  const auto type = number_at<std::uint16_t>(request, 6);
  const auto cookie = number_at<std::uint64_t>(request, 8), offset = number_at<std::uint64_t>(request, 16);
  const auto length = number_at<std::uint32_t>(request, 24);
  if (type == kDisconnect || length > kMostRead.bytes) return false;
  const std::uint32_t error = type == kRead ? read(offset, length) : EPERM;
  return send(message(kReply, error, cookie)) && (error != 0 || send(ByteView(buffer_).first(length)));
}

bool RawServer::may_reach(std::uint64_t offset, std::uint32_t length) const {
  if (end_ == FileEnd::padded) return offset < size_.bytes || length == 0;
  return offset + length <= (size_.bytes + kSector - 1) / kSector * kSector;
}

std::uint32_t RawServer::read(std::uint64_t offset, std::uint32_t length) {
  const std::uint64_t told = told_size().bytes;
  if (offset > told || length > told - offset) return EINVAL;
  if (end_ != FileEnd::told && !may_reach(offset, length)) {
    past_end_ = true;
    return EIO;
  }
  if (buffer_.size() < length) buffer_.resize(length);
  const auto [within, behind] = parts(MutableBytes(buffer_).first(length), size_.bytes - std::min(offset, size_.bytes));
  std::ranges::fill(behind, std::byte{0});
  if (!file_.read_at({offset}, within)) return EIO;
  read_ += within.size();
  return 0;
}

bool RawServer::send(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(server_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawServer::receive(MutableBytes bytes) {
  while (!bytes.empty()) {
    const ssize_t got = ::recv(server_.fd(), bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

}  // namespace stampede::nbd
