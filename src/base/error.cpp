#include "src/base/error.h"

#include <string.h>

#include <array>

namespace stampede {

std::string_view name_of(Code code) {
  switch (code) {
    case Code::internal:
      return "internal";
    case Code::usage:
      return "usage";
    case Code::shared_identity:
      return "shared_identity";
    case Code::no_match:
      return "no_match";
    case Code::several_match:
      return "several_match";
    case Code::identity_changed:
      return "identity_changed";
    case Code::in_use:
      return "in_use";
    case Code::mounted:
      return "mounted";
    case Code::swap:
      return "swap";
    case Code::read_only:
      return "read_only";
    case Code::too_small:
      return "too_small";
    case Code::sector_size:
      return "sector_size";
    case Code::foreign_content:
      return "foreign_content";
    case Code::own_disk:
      return "own_disk";
    case Code::cannot_customise:
      return "cannot_customise";
    case Code::tag_taken:
      return "tag_taken";
    case Code::store_too_new:
      return "store_too_new";
    case Code::removable:
      return "removable";
    case Code::token_invalid:
      return "token_invalid";
    case Code::token_used:
      return "token_used";
    case Code::token_expired:
      return "token_expired";
    case Code::signer_unknown:
      return "signer_unknown";
    case Code::signature_invalid:
      return "signature_invalid";
    case Code::content_altered:
      return "content_altered";
    case Code::peer_untrusted:
      return "peer_untrusted";
    case Code::not_permitted:
      return "not_permitted";
    case Code::unreachable:
      return "unreachable";
    case Code::patience_ended:
      return "patience_ended";
    case Code::drifted:
      return "drifted";
    case Code::address_in_use:
      return "address_in_use";
    case Code::protocol:
      return "protocol";
    case Code::busy:
      return "busy";
    case Code::interrupted:
      return "interrupted";
    case Code::write_failed:
      return "write_failed";
    case Code::read_failed:
      return "read_failed";
    case Code::readback_mismatch:
      return "readback_mismatch";
    case Code::no_space:
      return "no_space";
    case Code::flush_failed:
      return "flush_failed";
    case Code::not_found:
      return "not_found";
    case Code::store_damaged:
      return "store_damaged";
  }
  return "internal";
}

std::string_view class_of(Code code) {
  const auto value = static_cast<unsigned>(code);
  if (value == 1) return "internal";
  if (value == 2) return "usage";
  if (value == 3) return "drift";
  if (value == 4) return "lint";
  if (value < 30) return "refused";
  if (value < 40) return "trust";
  if (value < 50) return "retryable";
  if (value < 60) return "disk";
  return "store";
}

std::string errno_text(int error_number) {
  std::array<char, 128> buffer;
  return ::strerror_r(error_number, buffer.data(), buffer.size());  // glibc's form: returns the text
}

}  // namespace stampede
