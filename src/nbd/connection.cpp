#include "src/nbd/connection.h"

#include <libnbd.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "src/base/lazy_library.h"

namespace stampede::nbd {

namespace {

struct Libnbd : LazyLibrary {
  Libnbd() : LazyLibrary("libnbd.so.0", "libnbd0") {}
  decltype(&nbd_aio_is_dead) aio_is_dead = function("nbd_aio_is_dead");
  decltype(&nbd_aio_is_closed) aio_is_closed = function("nbd_aio_is_closed");
  decltype(&nbd_get_errno) get_errno = function("nbd_get_errno");
  decltype(&nbd_close) close = function("nbd_close");
  decltype(&nbd_create) create = function("nbd_create");
  decltype(&nbd_get_error) get_error = function("nbd_get_error");
  decltype(&nbd_set_pread_initialize) set_pread_initialize = function("nbd_set_pread_initialize");
  decltype(&nbd_add_meta_context) add_meta_context = function("nbd_add_meta_context");
  decltype(&nbd_connect_unix) connect_unix = function("nbd_connect_unix");
  decltype(&nbd_get_size) get_size = function("nbd_get_size");
  decltype(&nbd_pread) pread = function("nbd_pread");
  decltype(&nbd_pwrite) pwrite = function("nbd_pwrite");
  decltype(&nbd_flush) flush = function("nbd_flush");
  decltype(&nbd_block_status) block_status = function("nbd_block_status");
  decltype(&nbd_aio_pread) aio_pread = function("nbd_aio_pread");
  decltype(&nbd_aio_pwrite) aio_pwrite = function("nbd_aio_pwrite");
  decltype(&nbd_aio_get_direction) aio_get_direction = function("nbd_aio_get_direction");
  decltype(&nbd_aio_get_fd) aio_get_fd = function("nbd_aio_get_fd");
  decltype(&nbd_aio_notify_read) aio_notify_read = function("nbd_aio_notify_read");
  decltype(&nbd_aio_notify_write) aio_notify_write = function("nbd_aio_notify_write");
};

const Libnbd& libnbd() {
  static const Libnbd library;
  return library;
}

constexpr const char* kAllocation = LIBNBD_CONTEXT_BASE_ALLOCATION;

// The errno of the call of libnbd that has just failed on that connection.
int error_of(nbd_handle* handle) {
  if (libnbd().aio_is_dead(handle) > 0 || libnbd().aio_is_closed(handle) > 0) return ENOTCONN;
  const int error = libnbd().get_errno();
  return error == 0 ? EIO : error;
}

// libnbd calls it from within its other calls. 1: it may forget the command.
int landed(void* user, int* error) {
  (**static_cast<std::shared_ptr<Connection::Done>*>(user))(*error);
  return 1;
}

// Once for each command, also for those that are not started and those that a closed connection leaves.
void forget(void* user) {
  const std::unique_ptr<std::shared_ptr<Connection::Done>> owned(static_cast<std::shared_ptr<Connection::Done>*>(user));
}

int take_extents(void* user, const char* context, std::uint64_t /*offset*/, std::uint32_t* entries, std::size_t count,
                 int* /*error*/) {
  auto& extents = *static_cast<std::vector<Connection::Extent>*>(user);
  if (std::string_view(context) != kAllocation) return 0;
  for (std::size_t i = 0; i + 1 < count; i += 2)
    extents.push_back({{entries[i]}, (entries[i + 1] & LIBNBD_STATE_ZERO) != 0});
  return 0;
}

}  // namespace

void Connection::Close::operator()(nbd_handle* handle) const { libnbd().close(handle); }

Result<std::unique_ptr<Connection>> Connection::open(const std::filesystem::path& socket, bool tells_zeros) {
  STAMPEDE_CHECK(libnbd().usable());
  std::unique_ptr<Connection> connection(new Connection(libnbd().create()));
  nbd_handle* const handle = connection->handle_.get();
  if (handle == nullptr) return fail(Code::internal, "libnbd: {}", libnbd().get_error());
  libnbd().set_pread_initialize(handle, false);  // every byte is overwritten, or the read fails
  if (tells_zeros && libnbd().add_meta_context(handle, kAllocation) != 0)
    return fail(Code::internal, "libnbd: {}", libnbd().get_error());
  if (libnbd().connect_unix(handle, socket.c_str()) != 0) return fail(Code::unreachable, "{}", libnbd().get_error());
  return connection;
}

Size Connection::size() const {
  return {static_cast<std::uint64_t>(std::max<std::int64_t>(0, libnbd().get_size(handle_.get())))};
}

int Connection::outcome(int result) const {
  if (result != 0) errno = error_of(handle_.get());
  return result;
}

ssize_t Connection::read(std::uint64_t at, MutableBytes out) {
  return outcome(libnbd().pread(handle_.get(), out.data(), out.size(), at, 0)) == 0 ? static_cast<ssize_t>(out.size()) : -1;
}

ssize_t Connection::write(std::uint64_t at, ByteView bytes) {
  return outcome(libnbd().pwrite(handle_.get(), bytes.data(), bytes.size(), at, 0)) == 0 ? static_cast<ssize_t>(bytes.size())
                                                                                         : -1;
}

int Connection::flush() { return outcome(libnbd().flush(handle_.get(), 0)); }

Result<std::vector<Connection::Extent>> Connection::status(Offset at, Size length) {
  std::vector<Extent> extents;
  const nbd_extent_callback take{.callback = take_extents, .user_data = &extents, .free = nullptr};
  if (libnbd().block_status(handle_.get(), length.bytes, at.bytes, take, 0) != 0)
    return fail(Code::read_failed, "cannot tell what is data from byte {} on: {}", at.bytes, libnbd().get_error());
  Size all;
  for (Extent& extent : extents) {
    extent.length = std::min(extent.length, length - all);  // the last one may go on beyond what was asked
    all += extent.length;
  }
  if (all == Size{}) return fail(Code::protocol, "nobody tells what is data from byte {} on", at.bytes);
  return extents;
}

template <class Start>
void Connection::start(Done done, Start&& begin) {
  const auto shared = std::make_shared<Done>(std::move(done));
  const nbd_completion_callback then{
      .callback = landed, .user_data = std::make_unique<std::shared_ptr<Done>>(shared).release(), .free = forget};
  if (begin(then) < 0) (*shared)(error_of(handle_.get()));
}

void Connection::start_read(std::uint64_t at, MutableBytes out, Done done) {
  start(std::move(done), [&](nbd_completion_callback then) {
    return libnbd().aio_pread(handle_.get(), out.data(), out.size(), at, then, 0);
  });
}

void Connection::start_write(std::uint64_t at, ByteView bytes, Done done) {
  start(std::move(done), [&](nbd_completion_callback then) {
    return libnbd().aio_pwrite(handle_.get(), bytes.data(), bytes.size(), at, then, 0);
  });
}

Connection::Waits Connection::waits() const {
  const unsigned direction = libnbd().aio_get_direction(handle_.get());
  const auto events = static_cast<short>(((direction & LIBNBD_AIO_DIRECTION_READ) != 0 ? POLLIN : 0) |
                                         ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? POLLOUT : 0));
  return {events == 0 ? -1 : libnbd().aio_get_fd(handle_.get()), events};
}

void Connection::go_on(short ready) {
  const Waits now = waits();
  if (ready == 0 || now.fd < 0) return;
  // What fails here fails each command that was under way, by its callback.
  if ((now.events & POLLIN) != 0 && (ready & ~POLLOUT) != 0)
    static_cast<void>(libnbd().aio_notify_read(handle_.get()));
  else if ((now.events & POLLOUT) != 0)
    static_cast<void>(libnbd().aio_notify_write(handle_.get()));
}

}  // namespace stampede::nbd
