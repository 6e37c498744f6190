// A target on the network, in two parts: what the caller's thread asks and waits for is in node.cpp, what happens on the
// loop in node_swarm.cpp. Private to this room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>

#include "transport/net/asking.h"
#include "transport/net/catcher.h"
#include "transport/net/depot_link.h"
#include "transport/net/node.h"
#include "transport/net/patience.h"
#include "transport/net/peer_links.h"
#include "transport/swarm/picker.h"

namespace stampede::net {

class SwarmNode final : public Node {
 public:
  explicit SwarmNode(NodeOptions options);
  ~SwarmNode() override;
  Result<> open();

  Result<> wait_for_depot() override { return wait_for_depot(Asking(options_.waiting)); }
  Result<chunker::SignedTagRecord> resolve(const chunker::ImageRef& image) override;
  Result<std::vector<chunker::SealedChunk>> fetch(const std::vector<chunker::ChunkId>& ids) override;
  Result<bool> store_rescue(const std::array<std::byte, 16>& deployment, ByteView file) override;
  Result<std::uint64_t> store_receipt(ByteView receipt, const trust::Signature& signature) override;
  Result<SignedReceipt> find_receipt(const DiskNames& disk) override;
  Result<wire::Message> ask_push(const wire::Message& message) override;
  Result<> join(SwarmJob job) override;
  using Node::hold_parts;
  void hold_parts(std::vector<wire::ChunkRun> lacks, std::optional<Bitmap> later) override;
  void set_credit(std::uint32_t spans) override;
  void had(chunker::SpanIndex span) override;
  void bad(chunker::SpanIndex span, const chunker::Origin& origin) override;
  Result<> wait_complete(const std::function<bool(const SwarmStatus&)>& tick) override;
  void report(const StageReport& report) override;
  void linger(std::optional<Duration> time, const std::function<bool(const SwarmStatus&)>& tick) override;
  SwarmStatus status() override;

 private:
  using Answer = Result<std::vector<wire::Message>>;

  // The caller's thread.
  Result<> wait_for_depot(const Asking& asking);
  Answer ask(const wire::Message& question, std::size_t replies);
  Answer ask_once(const wire::Message& question, std::size_t replies, const Asking& asking);
  void warn_of_waiting();
  // Does the depot that is there know it?
  Result<bool> depot_knows(std::uint64_t feature);

  // Any thread.
  void set_fatal(Error error);
  void notice(std::string text);
  Instant touched();
  bool listens_to_multicast() const {
    return options_.transfer == Transfer::automatic || options_.transfer == Transfer::multicast;
  }
  bool trades_with_peers() const { return options_.transfer == Transfer::automatic || options_.transfer == Transfer::swarm; }

  // The loop's thread.
  void depot_up();
  void depot_down(const Error& error);
  Result<> listen();
  Result<> start_swarm(SwarmJob job);
  wire::Join join_message() const;
  void report_again();
  void rejoin();
  void tell_partial();
  void depot_takes_part(Instant now);
  void from_depot(wire::Message message);
  void not_readable(std::uint32_t span, Instant now);
  void take_span(swarm::PeerId peer, wire::SpanData data);
  void listen_to_multicast();
  void expect_multicast();
  void caught(wire::SpanData data);
  void doubt_multicast();
  void dismissed();
  void drop_peer(chunker::SpanIndex span, const std::string& node);
  void announce();
  bool waits_for_multicast();
  void pump();
  void set_active(std::uint32_t active);
  void refresh();

  Loop loop_;  // first, so that it goes last: sockets and timers end before it
  NodeOptions options_;
  std::shared_ptr<TlsContext> dial_tls_;

  // Shared between the loop and the caller.
  std::mutex mutex_;
  std::condition_variable changed_;
  SwarmStatus status_;
  std::optional<Error> fatal_;
  std::optional<Error> refused_;  // by the depot; a peer may still have it
  Patience patience_;
  std::string notice_;  // for the caller's `warn`
  std::atomic<std::uint32_t> credit_ = 0;

  // The loop's own.
  SwarmJob job_;
  std::optional<swarm::Picker> picker_;
  bool defers_ = false;  // some spans are not asked for yet: see hold_parts()
  PartialSpans partial_;
  std::vector<std::uint32_t> fresh_;
  std::set<std::uint32_t> unreadable_;  // spans that the depot cannot read and that we lack
  std::set<std::uint32_t> altered_;     // came damaged from the depot
  std::optional<wire::Progress> last_report_;
  std::uint16_t port_ = 0;
  bool depot_joined_ = false;
  bool depot_serves_ = false;
  bool repoll_set_ = false;
  std::optional<wire::MulticastOffer> offer_;  // not taken up yet
  unsigned bad_casts_ = 0;
  std::set<std::uint32_t> stale_;  // spans that this stream does not bring any more
  std::unique_ptr<Catcher> catcher_;
  std::unique_ptr<DepotLink> depot_;
  std::unique_ptr<PeerLinks> peers_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Alarm> announce_;
  std::unique_ptr<Alarm> repoll_;
};

}  // namespace stampede::net
