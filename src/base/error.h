// Errors are values. An Error says what failed, doing what, on what, and what to do about it; its code is the
// exit code of the `stampede` command (the table below is the contract; README.md repeats it, tests compare the two).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace stampede {

// Classes by tens: usage 2, findings 3–9, refused 10–29, trust 30–39, retryable 40–49, disk 50–59, store 60–69.
enum class Code : std::uint8_t {
  internal = 1,         // a bug of ours
  usage = 2,            // wrong arguments, or an input file that cannot be read or understood
  drifted = 3,          // a disk is not what its image says (stampede drift)
  shared_identity = 4,  // an image holds what its copies must not share (stampede image lint)

  no_match = 10,          // the selector matches no disk
  several_match = 11,     // the selector matches more than one disk
  identity_changed = 12,  // the opened disk is not the one that was selected
  in_use = 13,            // held exclusively by somebody else, or by dm, md, LVM, …
  mounted = 14,           // the disk or one of its partitions is mounted
  swap = 15,              // the disk or one of its partitions is swap space in use
  read_only = 16,         // the disk or file is read-only
  too_small = 17,         // the disk is smaller than the image
  sector_size = 18,       // the disk's logical sector size is not the image's
  foreign_content = 19,   // the disk holds something and --overwrite does not name it
  own_disk = 20,          // the running system's own disk
  cannot_customise = 21,  // the image has no root file system that can be customised
  tag_taken = 22,         // name:tag is already another image
  store_too_new = 23,     // the store was written by a newer version
  removable = 24,         // the disk is removable and the selector does not say so

  token_invalid = 30,      // not a join token, or not one of this depot
  token_used = 31,         // all uses taken, by other keys
  token_expired = 32,      // by the depot's clock
  signer_unknown = 33,     // a tag record by a signer whom this node does not accept
  signature_invalid = 34,  // a signature that does not hold
  content_altered = 35,    // bytes that do not match their id
  peer_untrusted = 36,     // a certificate that is not of this site, or of another role
  not_permitted = 37,      // the node may not do this (a push needs a token made with --push)

  unreachable = 40,     // the depot or a peer does not answer
  patience_ended = 41,  // waited for the depot or for missing spans as long as told
  address_in_use = 42,  // the port to listen on is taken
  protocol = 43,        // no common protocol version, or a malformed exchange
  busy = 44,            // a limit of connections or memory is reached
  interrupted = 45,     // by a signal

  write_failed = 50,
  read_failed = 51,
  readback_mismatch = 52,  // the disk does not return what was written
  no_space = 53,
  flush_failed = 54,

  not_found = 60,      // no such image, receipt, …
  store_damaged = 61,  // a pack, manifest or catalog is damaged
};

// A stable, lower-case name for the code ("too_small"): used in JSON and in receipts.
std::string_view name_of(Code code);
// The class that the code belongs to: "internal", "usage", "drift", "lint", "refused", "trust", "retryable", "disk",
// "store".
std::string_view class_of(Code code);

struct Error {
  Code code = Code::internal;
  std::string message;  // one line, no trailing full stop: what, where, and what to do

  // Puts "doing what, on what" in front: "reading /dev/sda: Input/output error".
  Error within(std::string_view context) && {
    message = fmt::format("{}: {}", context, message);
    return std::move(*this);
  }
};

template <class T = void>
using Result = std::expected<T, Error>;

template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// Passes an error on, with context in front.
[[nodiscard]] inline std::unexpected<Error> pass(Error error) { return std::unexpected(std::move(error)); }
[[nodiscard]] inline std::unexpected<Error> pass(Error error, std::string_view context) {
  return std::unexpected(std::move(error).within(context));
}

// Text of an errno value, thread-safe.
std::string errno_text(int error_number);

}  // namespace stampede

// Unwraps a Result or returns its error: STAMPEDE_TRY(auto x, f());
#define STAMPEDE_CONCAT_(a, b) a##b
#define STAMPEDE_CONCAT(a, b) STAMPEDE_CONCAT_(a, b)
#define STAMPEDE_TRY_(tmp, decl, expr)                      \
  auto tmp = (expr);                                        \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  decl = *std::move(tmp)
#define STAMPEDE_TRY(decl, ...) STAMPEDE_TRY_(STAMPEDE_CONCAT(try_, __LINE__), decl, (__VA_ARGS__))
// The same for Result<void>: STAMPEDE_CHECK(f());
#define STAMPEDE_CHECK(...)                                                                      \
  do {                                                                                           \
    if (auto check_ = (__VA_ARGS__); !check_) return std::unexpected(std::move(check_).error()); \
  } while (false)
