#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <tuple>

#include "src/base/file.h"
#include "src/disk/engine.h"

// liburing's only home.
namespace stampede::disk {

namespace {

class UringEngine final : public Engine {
 public:
  explicit UringEngine(const EngineOptions& options) : fd_(options.fd), path_(options.path) {}
  ~UringEngine() override;
  UringEngine(const UringEngine&) = delete;
  UringEngine& operator=(const UringEngine&) = delete;

  // 0, or an errno.
  int set_up(const EngineOptions& options);

  std::string_view name() const override { return "io_uring"; }
  void register_buffers(std::span<const MutableBytes> buffers) override;
  void start(const Request& request) override;
  void wait(bool block, std::vector<Completion>& out) override;
  void wake() override;

 private:
  int make_ring(unsigned entries);
  bool knows_operations();
  bool is_fixed(int buffer);
  void arm_wake_up();

  const int fd_;
  const std::string path_;
  io_uring ring_{};
  bool made_ = false;
  bool fixed_file_ = false;
  struct Fixed {
    iovec memory;
    enum class State : std::uint8_t { not_yet, yes, no } state;
  };
  std::vector<Fixed> buffers_;  // registered, or to be where they are first used
  File event_;                  // eventfd
  std::uint64_t event_value_ = 0;
};

// A new ring may be mapped where one of another thread was. liburing does both by system calls of its own, so that only
// this tells the thread sanitizer that what the other thread wrote there came before.
std::atomic<unsigned> rings_gone = 0;

UringEngine::~UringEngine() {
  if (!made_) return;
  // At once: what is left to the ring's own end the kernel lets go of some time later, and until then the disk would be in
  // use for the next one who opens it with O_EXCL.
  if (fixed_file_) ::io_uring_unregister_files(&ring_);
  rings_gone.fetch_add(1, std::memory_order_release);
  ::io_uring_queue_exit(&ring_);
}

int UringEngine::set_up(const EngineOptions& options) {
  const int event = ::eventfd(0, EFD_CLOEXEC);
  if (event < 0) return errno;
  event_ = File(event, "eventfd");
  if (const int error = make_ring(options.depth + 1); error != 0) return error;  // one for the eventfd
  made_ = true;
  std::ignore = rings_gone.load(std::memory_order_acquire);
  if (!knows_operations()) return ENOSYS;
  fixed_file_ = ::io_uring_register_files(&ring_, &fd_, 1) == 0;
  arm_wake_up();
  return 0;
}

// The best that the kernel has: 6.1, 5.19, before.
int UringEngine::make_ring(unsigned entries) {
  constexpr std::array<unsigned, 3> kFlags{IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                           IORING_SETUP_COOP_TASKRUN, 0};
  int error = 0;
  for (const unsigned flags : kFlags) {
    error = ::io_uring_queue_init(entries, &ring_, flags);
    if (error != -EINVAL) break;
  }
  return -error;
}

bool UringEngine::knows_operations() {
  io_uring_probe* const probe = ::io_uring_get_probe_ring(&ring_);  // none before 5.6, which lacks plain reads too
  if (probe == nullptr) return false;
  const bool known = ::io_uring_opcode_supported(probe, IORING_OP_READ) != 0 &&
                     ::io_uring_opcode_supported(probe, IORING_OP_WRITE) != 0 &&
                     ::io_uring_opcode_supported(probe, IORING_OP_READ_FIXED) != 0 &&
                     ::io_uring_opcode_supported(probe, IORING_OP_WRITE_FIXED) != 0;
  ::io_uring_free_probe(probe);
  return known;
}

// Saves pinning the pages at each transfer; under a tight limit of locked memory it goes without. Each is registered where
// it is first used (Linux 5.19), else all at once: that takes memory for all of it, which on a fast disk most never need.
void UringEngine::register_buffers(std::span<const MutableBytes> buffers) {
  if (buffers.empty()) return;
  std::vector<iovec> parts;
  for (const MutableBytes bytes : buffers) parts.push_back({bytes.data(), bytes.size()});
  const auto count = static_cast<unsigned>(parts.size());
  auto state = Fixed::State::not_yet;
  if (::io_uring_register_buffers_sparse(&ring_, count) != 0)
    state = ::io_uring_register_buffers(&ring_, parts.data(), count) == 0 ? Fixed::State::yes : Fixed::State::no;
  for (const iovec& part : parts) buffers_.push_back({part, state});
}

bool UringEngine::is_fixed(int buffer) {
  if (buffer < 0 || static_cast<std::size_t>(buffer) >= buffers_.size()) return false;
  Fixed& fixed = buffers_[static_cast<std::size_t>(buffer)];
  if (fixed.state == Fixed::State::not_yet) {
    const int changed =
        ::io_uring_register_buffers_update_tag(&ring_, static_cast<unsigned>(buffer), &fixed.memory, nullptr, 1);
    fixed.state = changed == 1 ? Fixed::State::yes : Fixed::State::no;
  }
  return fixed.state == Fixed::State::yes;
}

void UringEngine::start(const Request& request) {
  io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
  const int fd = fixed_file_ ? 0 : fd_;
  const auto size = static_cast<unsigned>(request.bytes.size());
  if (is_fixed(request.buffer)) {
    if (request.write)
      ::io_uring_prep_write_fixed(sqe, fd, request.bytes.data(), size, request.at, request.buffer);
    else
      ::io_uring_prep_read_fixed(sqe, fd, request.bytes.data(), size, request.at, request.buffer);
  } else if (request.write) {
    ::io_uring_prep_write(sqe, fd, request.bytes.data(), size, request.at);
  } else {
    ::io_uring_prep_read(sqe, fd, request.bytes.data(), size, request.at);
  }
  if (fixed_file_) sqe->flags |= IOSQE_FIXED_FILE;
  ::io_uring_sqe_set_data(sqe, request.tag);
}

void UringEngine::arm_wake_up() {
  io_uring_sqe* const sqe = ::io_uring_get_sqe(&ring_);
  ::io_uring_prep_read(sqe, event_.fd(), &event_value_, sizeof event_value_, 0);
  ::io_uring_sqe_set_data(sqe, nullptr);
}

void UringEngine::wait(bool block, std::vector<Completion>& out) {
  const int result = ::io_uring_submit_and_wait(&ring_, block ? 1 : 0);
  if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY) {
    fmt::print(stderr, "io_uring on {} stopped working: {}\n", path_, errno_text(-result));
    std::abort();  // what the kernel has of our memory can no longer be known
  }
  io_uring_cqe* cqe = nullptr;
  while (::io_uring_peek_cqe(&ring_, &cqe) == 0) {
    const Completion completion{::io_uring_cqe_get_data(cqe), cqe->res};
    ::io_uring_cqe_seen(&ring_, cqe);
    if (completion.tag == nullptr)
      arm_wake_up();
    else
      out.push_back(completion);
  }
}

void UringEngine::wake() {
  const std::uint64_t one = 1;
  while (::write(event_.fd(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<std::unique_ptr<Engine>> open_uring_engine(const EngineOptions& options) {
  auto engine = std::make_unique<UringEngine>(options);
  if (const int error = engine->set_up(options); error != 0)
    return fail(Code::write_failed,
                "io_uring cannot be used to write {}: {}; allow it (sysctl kernel.io_uring_disabled=0, the container's "
                "seccomp profile) or raise the limit of locked memory",
                options.path, errno_text(error));
  return engine;
}

}  // namespace stampede::disk
