// What tls.cpp and connection.cpp share: for the .cpp files of this room only.
#pragma once

#include <optional>
#include <string>

#include "src/base/error.h"
#include "src/trust/authority.h"

namespace stampede::net {

// What the certificate check found; hangs on the SSL object at identity_slot().
struct PeerVerdict {
  std::optional<trust::PeerIdentity> peer;
  std::optional<Error> error;
};
int identity_slot();
// The oldest error of OpenSSL's queue, which is emptied.
std::string tls_error_text();

}  // namespace stampede::net
