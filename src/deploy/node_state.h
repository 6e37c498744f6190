// What a node keeps between runs (--state): its key and its enrolment, so that a second run needs no new token, and
// receipts that could not be delivered.
//   <folder>/node.key     Ed25519, PEM, 0600
//   <folder>/enrolment    JSON: {"version": 1, "site", "certificate", "authority" (base64url DER), "signers": [hex]}
//   <folder>/receipts/<number>   receipts waiting for their depot, the newest kMostUnsent: 64 bytes of signature, then the
//   JSON <folder>/rescue/<time>-<disk>-<deployment>.rescue   what disks held before they were written (src/disk/rescue.h);
//   kept,
//                         also after a success: `stampede disk restore-table` puts one back. Of a disk the newest
//                         kMostRescues are kept
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "src/disk/rescue.h"
#include "src/trust/token.h"
#include "transport/net/node.h"

namespace stampede::deploy {

struct Enrolment {
  net::Identity identity;
  trust::PublicKey site{};
  std::vector<trust::PublicKey> signers;  // whose tag records this node accepts
};

class NodeState {
 public:
  // The folder and the key are made at first use.
  static Result<NodeState> open(const std::filesystem::path& folder);

  // The stored enrolment; with a token of another site, or none stored, enrols with the token at `depot`. Without either:
  // token_invalid.
  Result<Enrolment> enrol(const std::optional<trust::JoinToken>& token, const net::Endpoint& depot,
                          const net::Waiting& waiting);
  // Enrols with the token whatever is stored: for a depot that no longer knows this node.
  Result<Enrolment> enrol_again(const trust::JoinToken& token, const net::Endpoint& depot, const net::Waiting& waiting);

  const trust::PrivateKey& key() const { return key_; }
  // Hands the receipts that wait to the depot, oldest first. One is kept where the depot could not be asked, and forgotten
  // where it was refused: it would be refused for ever.
  void deliver_unsent(net::Node& node);
  static constexpr std::size_t kMostUnsent = 32;
  Result<> keep_unsent(ByteView receipt, const trust::Signature& signature);
  struct Unsent {
    std::filesystem::path file;
    Bytes receipt;
    trust::Signature signature{};
  };
  std::vector<Unsent> unsent() const;  // oldest first
  void forget_unsent(ByteView receipt);

  std::filesystem::path rescue_folder() const { return folder_ / "rescue"; }
  // Of the disk that the rescue file is of this one and the newest others are kept, and the rest forgotten; of a disk
  // without serial and WWN all are: they may be of many.
  static constexpr std::size_t kMostRescues = 8;
  void forget_old_rescues(const disk::Rescue& newest);

 private:
  NodeState(std::filesystem::path folder, trust::PrivateKey key) : folder_(std::move(folder)), key_(std::move(key)) {}
  std::filesystem::path receipts_folder() const { return folder_ / "receipts"; }

  std::filesystem::path folder_;
  trust::PrivateKey key_;
};

// Writes a rescue file into the folder, which is made if it is missing; its path. Durable when it returns.
Result<std::filesystem::path> keep_rescue(const std::filesystem::path& folder, const disk::Rescue& rescue, ByteView encoded);

}  // namespace stampede::deploy
