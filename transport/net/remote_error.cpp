#include "transport/net/remote_error.h"

namespace stampede::net {

namespace {

Code translated(std::uint8_t raw) {
  const auto code = static_cast<Code>(raw);
  if (raw == 0 || (code != Code::internal && name_of(code) == name_of(Code::internal))) return Code::protocol;
  switch (code) {
    case Code::busy:
    case Code::unreachable:
    case Code::protocol:
    case Code::not_found:
    case Code::no_space:   // the depot's, for a push
    case Code::tag_taken:  // the same
      return code;
    case Code::interrupted:
      return Code::unreachable;
    default:
      return class_of(code) == "trust" ? code : Code::store_damaged;
  }
}

}  // namespace

Error remote_error(const wire::ErrorMessage& message) {
  return {translated(message.code), fmt::format("the depot says: {}", message.text)};
}

bool passes(const Error& error) { return error.code == Code::busy || error.code == Code::unreachable; }
bool is_final(const Error& error) { return class_of(error.code) == "trust" || error.code == Code::protocol; }

}  // namespace stampede::net
