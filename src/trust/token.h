// The join token: lets a machine take part. One line of text:
//   "stmp1." base64url( u8 version = 1 · 32 site CA public key · 32 secret · u8 n · n × 32 accepted image signers )
// The depot keeps only the SHA-256 of the secret; expiry and uses are the depot's to judge.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "src/base/seams.h"
#include "src/trust/keys.h"

namespace stampede::trust {

struct JoinToken {
  PublicKey site{};
  std::array<std::byte, 32> secret{};
  std::vector<PublicKey> signers;  // at most kMaxSigners
};
inline constexpr std::size_t kMaxSigners = 16;

JoinToken make_token(const PublicKey& site, std::vector<PublicKey> signers, Random& random);
std::string encode(const JoinToken& token);
// White space around it is accepted. Error: token_invalid.
Result<JoinToken> parse_token(std::string_view text);

}  // namespace stampede::trust
