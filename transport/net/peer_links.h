// A target's lines to the other members of its swarm: dials whom the depot names (bounded fan-out), serves what it
// holds while it is still receiving, and reports what others hold. Loop thread only.
//
// A peer that sends a span which was not asked of it is closed. Of a node that takes connections and drops them before it
// joins, the dials become fewer.
//
// Memory: kMaxPeers connections, each with at most kQueueLimit and a span queued, kMaxOwed requests waiting, and half a MiB
// of what wire::Partial told.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "chunker/source.h"
#include "src/base/bitmap.h"
#include "transport/net/connection.h"
#include "transport/net/partial_spans.h"
#include "transport/swarm/picker.h"

namespace stampede::net {

inline constexpr std::size_t kMaxPeers = 48;
inline constexpr std::size_t kMaxDialled = 12;
inline constexpr std::size_t kMaxOwed = 64;

class PeerLinks {
 public:
  struct Events {
    std::function<void(swarm::PeerId, Bitmap)> joined;
    std::function<void(swarm::PeerId)> left;
    std::function<void(swarm::PeerId, std::uint32_t span)> has;
    std::function<void(swarm::PeerId, std::uint32_t span)> not_held;
    std::function<void(swarm::PeerId, wire::SpanData)> span;
  };
  struct Swarm {
    wire::Digest image{};
    std::uint32_t span_count = 0;
    chunker::SpanSource* held = nullptr;  // stopped before the loop goes
    bool listening = false;               // others can dial us
    std::function<wire::Join()> join;     // with our bitmap as it is now
    PartialSpans partial = {};            // said after it
  };

  PeerLinks(Loop& loop, const Identity& identity, std::shared_ptr<TlsContext> dial_tls, Swarm swarm, Events events);
  ~PeerLinks();

  // A connection that our listener has accepted.
  void accepted(const Connection::Ptr& connection) { ready(connection, false); }
  // The depot's list; who is no longer on it stays connected until the line breaks.
  void set_members(const std::vector<wire::Member>& members);
  void request(swarm::PeerId peer, std::uint32_t span);
  void announce(const std::vector<std::uint32_t>& spans);
  // Of what we lack there is a part here already; said to those who are there and to all who come.
  void set_partial(PartialSpans partial);
  // Drops that node and never talks to it again.
  void ban(const wire::Key& node);

  std::size_t count() const { return peers_.size(); }
  std::uint64_t served_bytes() const { return served_bytes_; }
  const wire::Key* key_of(swarm::PeerId peer) const;

 private:
  struct Peer {
    swarm::PeerId id = 0;
    wire::Key key{};
    Connection::Ptr connection;
    bool dialled = false;
    bool joined = false;
    PartialSpans partial;
    std::deque<std::uint32_t> owed;
    bool fetching = false;               // the span that it is owed first is being fetched
    std::multiset<std::uint32_t> asked;  // and not answered yet
  };
  struct Candidate {
    wire::Member member;
    Instant not_before;
    Duration backoff{};
    bool dialling = false;
  };

  void tick();
  void dial(Candidate& candidate);
  void ready(const Connection::Ptr& connection, bool dialled);
  bool keeps(const Peer& older, bool newer_dialled) const;
  void take(Peer& peer, wire::Message message);
  void take_join(Peer& peer, const wire::Join& join);
  void take_answer(Peer& peer, wire::Message& message);
  void tell_partial(const Connection::Ptr& connection) const;
  std::size_t fan_out() const;
  void serve(Peer& peer);
  void fetch(Peer& peer, std::uint32_t span);
  void give(Peer& peer, std::uint32_t span, std::shared_ptr<const chunker::SealedSpan> sealed);
  void gone(swarm::PeerId id);

  Loop& loop_;
  wire::Key own_key_{};
  std::shared_ptr<TlsContext> tls_;
  Swarm swarm_;
  Events events_;
  std::shared_ptr<PeerLinks*> self_;
  std::map<swarm::PeerId, Peer> peers_;
  std::map<wire::Key, swarm::PeerId> by_key_;
  std::map<wire::Key, Candidate> candidates_;
  std::set<wire::Key> banned_;
  swarm::PeerId next_id_ = swarm::kDepot + 1;
  std::uint64_t served_bytes_ = 0;
  Ticker ticker_;
  Instant next_beat_;
};

}  // namespace stampede::net
