#include "transport/net/datagram.h"

#include <ifaddrs.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <utility>

#include "src/base/buffer.h"
#include "transport/net/loop_impl.h"

namespace stampede::net {

namespace asio = boost::asio;

namespace {

// A second of 1 Gbit/s would be more; this covers a target whose disk or scheduler pauses for 0.1 s.
constexpr int kReceiveBuffer = 16 << 20;
constexpr int kSendBuffer = 1 << 20;
// With less a pause of 10 ms costs packets at 1 Gbit/s. The kernel counts a third more than the packets' bytes.
constexpr int kLeastReceiveBuffer = 2 << 20;
constexpr std::size_t kGreatestRead = 65536;
// Datagrams taken in one go, so that the loop's other work is not kept waiting.
constexpr int kReads = 16;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Result<asio::ip::address> parse_group(const Endpoint& group) {
  boost::system::error_code error;
  auto address = asio::ip::make_address(group.host, error);
  if (error || !address.is_multicast() || group.port == 0)
    return fail(Code::usage, "'{}' is not a multicast group: an address of 224.0.0.0/4 or ff00::/8, and a port",
                group.text());
  return address;
}

Address socket_address(const asio::ip::address& address, std::uint16_t port, unsigned interface) {
  Address out;
  if (address.is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&out.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = htonl(address.to_v4().to_uint());
    out.size = sizeof *in;
  } else {
    auto* in = reinterpret_cast<sockaddr_in6*>(&out.storage);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    in->sin6_scope_id = interface;
    const auto bytes = address.to_v6().to_bytes();
    std::ranges::copy(bytes, std::begin(in->sin6_addr.s6_addr));
    out.size = sizeof *in;
  }
  return out;
}

class Socket {
 public:
  explicit Socket(bool v4) : fd_(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

  template <class T>
  bool set(int level, int option, const T& value) const {
    return ::setsockopt(fd_, level, option, &value, sizeof value) == 0;
  }

 private:
  int fd_;
};

std::unexpected<Error> no_group(const Endpoint& group, unsigned interface, int error) {
  std::string cure;
  if (error == ENODEV || error == ENETUNREACH)
    cure = interface == 0 ? "; name the interface, or give the group a route: ip route add 224.0.0.0/4 dev INTERFACE"
                          : "; is it up? (ip link)";
  return fail(Code::usage, "multicast group {} on {}: {}{}", group.text(),
              interface == 0 ? "the interface that the routing table names" : name_of_interface(interface),
              errno_text(error), cure);
}

class UdpSender final : public GroupSender {
 public:
  UdpSender(Socket socket, const Address& group) : socket_(std::move(socket)), group_(group) {}

  bool send(ByteView packets, std::size_t size) override {
    if (packets.size() <= size) return send_one(packets, 0);
    if (segments_) {
      if (send_one(packets, size)) return true;
      if (errno == EAGAIN || errno == ENOBUFS) return false;
      segments_ = false;  // this kernel or device cannot: from now on one by one
    }
    while (!packets.empty()) {
      const ByteView one = packets.first(std::min(size, packets.size()));
      if (!send_one(one, 0)) return false;  // those before are sent twice then, which does no harm
      packets = packets.subspan(one.size());
    }
    return true;
  }

 private:
  bool send_one(ByteView bytes, std::size_t segment) {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    msghdr message{};
    message.msg_name = &group_.storage;
    message.msg_namelen = group_.size;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (segment > 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_UDP;
      header->cmsg_type = UDP_SEGMENT;
      header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
      store_le(MutableBytes(reinterpret_cast<std::byte*>(CMSG_DATA(header)), 2), static_cast<std::uint16_t>(segment));
    }
    if (::sendmsg(socket_.fd(), &message, 0) >= 0) return true;
    if (errno == EAGAIN || errno == ENOBUFS) return false;
    // Of a batch: segmenting may be what is refused. A link that is down, a filter: the packet is lost.
    return segment == 0 || (errno != EINVAL && errno != EIO && errno != EOPNOTSUPP && errno != EMSGSIZE);
  }

  Socket socket_;
  Address group_;
  bool segments_ = true;
};

// Reads as long as it is not paused. Outlives the receiver as long as a handler of its own is on its way.
struct Reading : std::enable_shared_from_this<Reading> {
  Reading(Loop& loop, Socket socket, GroupReceiver::Take take_)
      : descriptor(loop.impl().context, socket.release()), take(std::move(take_)), buffer(kGreatestRead) {}

  void wait() {
    if (waiting || stopped) return;
    waiting = true;
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            self->waiting = false;
                            if (!error) self->read();
                          });
  }

  void read() {
    for (int i = 0; i < kReads && !stopped; ++i) {
      if (!read_one()) return;
    }
    if (!stopped && !paused) wait();
  }

  // False: nothing is to be read, or nothing more now.
  bool read_one() {
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(descriptor.native_handle(), &message, 0);
    if (got < 0) {
      wait();
      return false;
    }
    std::size_t segment = static_cast<std::size_t>(got);
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO) {
        int size = 0;
        std::memcpy(&size, CMSG_DATA(header), sizeof size);
        if (size > 0) segment = static_cast<std::size_t>(size);
      }
    }
    MutableBytes rest = MutableBytes(buffer).first(static_cast<std::size_t>(got));
    bool go_on = true;
    while (!rest.empty() && !stopped) {
      const MutableBytes datagram = rest.first(std::min(segment, rest.size()));
      go_on = take(datagram) && go_on;
      rest = rest.subspan(datagram.size());
    }
    if (!go_on) paused = true;
    return go_on;
  }

  asio::posix::stream_descriptor descriptor;
  GroupReceiver::Take take;
  Buffer buffer;
  bool waiting = false;
  bool paused = false;
  bool stopped = false;
};

class UdpReceiver final : public GroupReceiver {
 public:
  explicit UdpReceiver(std::shared_ptr<Reading> reading) : reading_(std::move(reading)) {}
  ~UdpReceiver() override {
    reading_->stopped = true;
    boost::system::error_code ignored;
    reading_->descriptor.close(ignored);
  }
  void resume() override {
    if (std::exchange(reading_->paused, false)) reading_->wait();
  }
  double fill() const override {
    std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
    socklen_t size = sizeof memory;
    if (::getsockopt(reading_->descriptor.native_handle(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size) != 0) return 0;
    return memory[SK_MEMINFO_RCVBUF] == 0 ? 0
                                          : static_cast<double>(memory[SK_MEMINFO_RMEM_ALLOC]) / memory[SK_MEMINFO_RCVBUF];
  }
  std::string trouble() const override {
    int size = 0;
    socklen_t length = sizeof size;
    if (::getsockopt(reading_->descriptor.native_handle(), SOL_SOCKET, SO_RCVBUF, &size, &length) != 0) return {};
    size /= 2;  // the kernel doubles what it is asked for
    if (size >= kLeastReceiveBuffer) return {};
    return fmt::format(
        "the socket buffer for multicast has {} KiB, so packets will be lost; raise it: sysctl -w "
        "net.core.rmem_max={}",
        size >> 10, kReceiveBuffer);
  }

 private:
  std::shared_ptr<Reading> reading_;
};

bool set_outgoing(const Socket& socket, const asio::ip::address& group, unsigned interface, unsigned ttl) {
  const int hops = static_cast<int>(ttl);
  const int index = static_cast<int>(interface);
  if (!group.is_v4())
    return (interface == 0 || socket.set(IPPROTO_IPV6, IPV6_MULTICAST_IF, index)) &&
           socket.set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops);
  ip_mreqn where{};
  where.imr_ifindex = index;
  return (interface == 0 || socket.set(IPPROTO_IP, IP_MULTICAST_IF, where)) &&
         socket.set(IPPROTO_IP, IP_MULTICAST_TTL, hops);
}

bool join(const Socket& socket, const asio::ip::address& group, unsigned interface) {
  const Address address = socket_address(group, 0, interface);
  group_req request{};
  request.gr_interface = interface;
  request.gr_group = address.storage;
  return socket.set(group.is_v4() ? IPPROTO_IP : IPPROTO_IPV6, MCAST_JOIN_GROUP, request);
}

}  // namespace

unsigned interface_of(const std::string& address) {
  boost::system::error_code error;
  const auto wanted = asio::ip::make_address(address, error);
  ifaddrs* list = nullptr;
  if (error || ::getifaddrs(&list) != 0) return 0;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owned(list, &::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    asio::ip::address has;
    if (entry->ifa_addr->sa_family == AF_INET) {
      has = asio::ip::address_v4(ntohl(reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr.s_addr));
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* in = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      asio::ip::address_v6::bytes_type bytes;
      std::ranges::copy(in->sin6_addr.s6_addr, bytes.begin());
      has = asio::ip::address_v6(bytes, in->sin6_scope_id);
    }
    if (has == wanted) return ::if_nametoindex(entry->ifa_name);
  }
  return 0;
}

Result<unsigned> interface_named(const std::string& name) {
  if (const unsigned index = ::if_nametoindex(name.c_str()); index != 0) return index;
  std::string all;
  if (auto* const list = ::if_nameindex(); list != nullptr) {
    for (const auto* entry = list; entry->if_index != 0; ++entry)
      all += (all.empty() ? "" : ", ") + std::string(entry->if_name);
    ::if_freenameindex(list);
  }
  return fail(Code::usage, "no network interface '{}'; this machine has {}", name, all);
}

std::string name_of_interface(unsigned index) {
  std::array<char, IF_NAMESIZE> name{};
  return ::if_indextoname(index, name.data()) == nullptr ? fmt::format("interface {}", index) : std::string(name.data());
}

std::size_t mtu_of(unsigned index) {
  constexpr std::size_t kUsual = 1500;
  const Socket socket(true);
  ifreq request{};
  if (socket.fd() < 0 || ::if_indextoname(index, request.ifr_name) == nullptr) return kUsual;
  return ::ioctl(socket.fd(), SIOCGIFMTU, &request) == 0 ? static_cast<std::size_t>(request.ifr_mtu) : kUsual;
}

std::size_t header_size(const Endpoint& group) { return group.host.contains(':') ? 40 + 8 : 20 + 8; }

Result<> check_group(const Endpoint& group) {
  STAMPEDE_CHECK(parse_group(group));
  return {};
}

Result<std::unique_ptr<GroupSender>> GroupSender::open(const Endpoint& group, unsigned interface, unsigned ttl) {
  STAMPEDE_TRY(const auto address, parse_group(group));
  const Address to = socket_address(address, group.port, interface);
  Socket socket(address.is_v4());
  // Stays unconnected, so that an answer of the network to one packet is no error of the next; another one says whether
  // there is a way at all.
  const Socket probe(address.is_v4());
  if (!set_outgoing(socket, address, interface, ttl) || !set_outgoing(probe, address, interface, ttl) ||
      ::connect(probe.fd(), to.get(), to.size) != 0)
    return no_group(group, interface, errno);
  socket.set(SOL_SOCKET, SO_SNDBUF, kSendBuffer);
  return std::make_unique<UdpSender>(std::move(socket), to);
}

Result<std::unique_ptr<GroupReceiver>> GroupReceiver::open(Loop& loop, const Endpoint& group, unsigned interface,
                                                           Take take) {
  STAMPEDE_TRY(const auto address, parse_group(group));
  Socket socket(address.is_v4());
  if (socket.fd() < 0) return no_group(group, interface, errno);
  // Several targets on one machine hear the same group, each in full.
  const int on = 1;
  socket.set(SOL_SOCKET, SO_REUSEADDR, on);
  if (!socket.set(SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer)) socket.set(SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  socket.set(SOL_UDP, UDP_GRO, on);
  const Address at = socket_address(address, group.port, interface);
  if (::bind(socket.fd(), at.get(), at.size) != 0 || !join(socket, address, interface))
    return no_group(group, interface, errno);
  auto reading = std::make_shared<Reading>(loop, std::move(socket), std::move(take));
  reading->wait();
  return std::make_unique<UdpReceiver>(std::move(reading));
}

}  // namespace stampede::net
