// A target on the network: one line to the depot, lines to its peers, and the picker that decides what to ask from whom.
// The caller (src/deploy) works from its own thread; everything here runs on the node's loop.
//
// Waiting: a lost or busy depot is dialled again until `patience` has passed without it and without anything useful from
// anybody (a wanted span, an answer); then what waits fails (unreachable if the depot was never there, else patience_ended).
// At least one attempt is made. A depot that takes connections and drops them does not renew the patience. A depot or tag
// that is refused for good (trust, not_found) fails at once. Every wait looks at `stopped` about ten times a second and ends
// with `interrupted`; what is asked after that (the receipt) has two seconds.
//
// Multicast: taken up when the depot offers it and there is credit. What it is to bring is not asked of anybody; where
// nothing comes (no IGMP, a filter) the swarm takes over after kQuiet. Spans whose bytes are altered are asked for
// elsewhere.
//
// A span that the depot cannot read is awaited from peers; store_damaged once nothing useful has come for the patience.
// One that came damaged from the depot is asked again; content_altered where it is damaged twice.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chunker/source.h"
#include "chunker/tag_record.h"
#include "src/base/bitmap.h"
#include "src/base/error.h"
#include "src/base/seams.h"
#include "transport/net/endpoint.h"
#include "transport/net/tls.h"
#include "transport/wire/messages.h"

namespace stampede::net {

// How long to wait for a depot, who is told, and who ends it.
struct Waiting {
  Duration patience = std::chrono::minutes(2);
  std::function<void(std::string_view)> warn = [](std::string_view) {};  // that a depot is waited for; on the waiting thread
  std::function<bool()> stopped = [] { return false; };                  // asked on the waiting thread
};

// Which ways spans may come; the depot is always one.
enum class Transfer : std::uint8_t {
  automatic,  // multicast where the depot offers it and packets arrive, and peers
  multicast,  // no peers
  swarm,      // no multicast
  depot,      // neither
};

struct NodeOptions {
  Endpoint depot;
  Identity identity;
  trust::PublicKey site{};
  std::optional<Endpoint> listen;  // serve peers here; nothing: only take
  Waiting waiting;
  Transfer transfer = Transfer::automatic;
};

struct SwarmJob {
  chunker::ImageId image;
  std::uint32_t span_count = 0;
  Bitmap have;                          // held already
  std::uint32_t credit = 0;             // spans that may be under way at first
  chunker::SpanInbox* inbox = nullptr;  // outlives the node
  chunker::SpanSource* held = nullptr;  // outlives the node, and gives nothing any more when the node goes
};

struct SwarmStatus {
  bool depot_up = false;
  bool complete = false;
  std::uint32_t peers = 0;
  std::uint32_t active = 1;  // members still active, ourselves counted, as the depot last said
  std::uint32_t spans_held = 0;
  std::uint64_t from_depot = 0;  // sealed bytes
  std::uint64_t from_peers = 0;
  std::uint64_t from_multicast = 0;
  std::uint64_t multicast_packets = 0;
  std::uint64_t multicast_lost = 0;        // by the gaps between those that came
  std::optional<Instant> multicast_began;  // first packet
  bool left_multicast = false;             // it did not keep up with the others
  std::uint64_t served = 0;
  std::uint64_t duplicates = 0;        // spans that came twice
  std::vector<std::string> bad_peers;  // by key; served altered bytes and were dropped
};

struct StageReport {
  std::uint8_t stage = 0;
  bool finished = false;
  std::uint64_t total = 0, verified = 0, durable = 0;
};

// What a disk says of itself, and the GUID of its partition table; at most 64 and 512 bytes each. The path counts for a disk
// that says neither serial nor WWN.
struct DiskNames {
  std::string guid, serial, wwn, path;
  Size size;
};
struct SignedReceipt {
  Bytes receipt;
  trust::Signature signature{};
};

class Node : public chunker::SpanFeed {  // what it had, it serves from then on
 public:
  // Dials the depot, in the background. Errors: what the options have wrong (address_in_use, …).
  static Result<std::unique_ptr<Node>> start(NodeOptions options);

  // Each waits for the depot within the patience.
  virtual Result<> wait_for_depot() = 0;
  virtual Result<chunker::SignedTagRecord> resolve(const chunker::ImageRef& image) = 0;
  virtual Result<std::vector<chunker::SealedChunk>> fetch(const std::vector<chunker::ChunkId>& ids) = 0;
  // False where the depot is of a version that takes none.
  virtual Result<bool> store_rescue(const std::array<std::byte, 16>& deployment, ByteView file) = 0;
  virtual Result<std::uint64_t> store_receipt(ByteView receipt, const trust::Signature& signature) = 0;

  // The newest receipt of a success on that disk. Errors: not_found; protocol, where the depot is too old to tell.
  virtual Result<SignedReceipt> find_receipt(const DiskNames& disk) = 0;

  // A message of a push, which is answered by one other; asked again where the line broke, so the push itself may have to be
  // begun again (push_sink.h does). Error: protocol, where the depot is too old to take any. Any thread.
  virtual Result<wire::Message> ask_push(const wire::Message& message) = 0;

  virtual Result<> join(SwarmJob job) = 0;
  // Of the spans that `lacks` names (in the order that wire::Partial demands) all other chunks are held: depot and peers may
  // leave those out, and multicast is not waited for. Of the spans `later` that is not known yet: they are not asked for,
  // and multicast, which would bring them too, is not listened to, before it is called without them. After join(), before
  // credit is given; may be called again as more is known.
  virtual void hold_parts(std::vector<wire::ChunkRun> lacks, std::optional<Bitmap> later) = 0;
  void hold_parts(std::vector<wire::ChunkRun> lacks) { hold_parts(std::move(lacks), {}); }
  // Until all spans are had. `tick` is called about ten times a second from the calling thread; returning false ends the
  // waiting with `interrupted`.
  virtual Result<> wait_complete(const std::function<bool(const SwarmStatus&)>& tick) = 0;
  virtual void report(const StageReport& report) = 0;
  // Goes on serving, and reporting, for `time`, or without one while other members are active; at most until the depot has
  // been gone for 10 s.
  virtual void linger(std::optional<Duration> time, const std::function<bool(const SwarmStatus&)>& tick) = 0;
  virtual SwarmStatus status() = 0;
};

// Enrols a key with a join token, within the patience: the node's certificate and the CA's. Errors: token_*, unreachable,
// protocol (no common version), interrupted.
Result<Identity> enrol(const Endpoint& depot, const trust::PublicKey& site, const std::array<std::byte, 32>& secret,
                       const trust::PrivateKey& key, const Waiting& waiting);

}  // namespace stampede::net
