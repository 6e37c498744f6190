// How a machine comes to take part: its key, its enrolment, the line to the depot, and images whose records it accepts. What
// a deployment and a rehearsal begin with.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "chunker/package.h"
#include "chunker/tag_record.h"
#include "src/deploy/node_state.h"
#include "src/deploy/receipt.h"
#include "src/disk/inventory.h"
#include "src/trust/token.h"
#include "transport/net/node.h"

namespace stampede::deploy {

struct AccessOptions {
  net::Endpoint depot;
  std::optional<trust::JoinToken> token;
  std::filesystem::path state;
  std::optional<net::Endpoint> peer_listen = net::Endpoint{};  // any address, any port
  net::Transfer transfer = net::Transfer::automatic;
  Duration patience = std::chrono::minutes(2);
  std::function<void(std::string_view)> warn = [](std::string_view) {};
  const std::atomic<bool>* stop = nullptr;  // set by a signal handler
  bool stopped() const { return stop != nullptr && stop->load(); }
};

// Is it of a success on this disk, by GUID, size, serial and WWN? One that says neither serial nor WWN is known by its path,
// which means something on one machine only: to the node that wrote the receipt.
bool tells_of(const Receipt& receipt, const disk::Disk& disk, const trust::PublicKey& node);

class Access {
 public:
  // `options` outlive it. The state is opened before the depot is asked for anything.
  static Result<Access> open(const AccessOptions& options);
  // Enrols if need be, and waits for the depot.
  Result<> connect();
  // Shows the token to a depot that knows this node: it may grant more than the one before. False without a token.
  Result<bool> show_token();

  // The record that stands for the name, or one of the image with that id, by a signer whom this node accepts.
  Result<chunker::TagRecord> resolve(const chunker::ImageRef& image);
  // Every record verified, and as the tag record says. `accept`: see load_manifest().
  Result<chunker::Manifest> manifest(const chunker::TagRecord& record, const chunker::AcceptRoot& accept = {});
  // Of any image that the depot has, whoever signed it: for what it tells, not to be deployed.
  Result<chunker::Manifest> manifest(const chunker::ImageId& image, const chunker::AcceptRoot& accept);

  // The newest receipt of a success that the depot has of this disk (tells_of); its signature holds. Nothing where there is
  // none, or where the depot is too old to tell.
  Result<std::optional<Receipt>> receipt_of(const disk::Disk& disk);

  NodeState& state() { return state_; }
  bool enrolled() const { return enrolment_.has_value(); }
  const Enrolment& enrolment() const { return *enrolment_; }  // after connect()
  net::Node* node() { return node_.get(); }                   // nothing before connect()

 private:
  Access(const AccessOptions& options, NodeState state) : options_(&options), state_(std::move(state)) {}
  Result<> start_node(const net::Waiting& waiting);
  net::Waiting waiting() const;

  const AccessOptions* options_;
  NodeState state_;
  std::optional<Enrolment> enrolment_;
  std::unique_ptr<net::Node> node_;
};

}  // namespace stampede::deploy
