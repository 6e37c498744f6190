// The receiver's side: symbols in, spans out, reports. Pure: fed with events and a time.
//
// Every symbol is copied once, into its place in the span's frame; a generation is decoded in place as soon as it has k
// symbols. Packets are expected to be authentic, but nothing that they say costs more than bounded memory: a packet
// that contradicts an open span's frame size is dropped, open spans take at most Config::memory (the oldest is dropped and
// named as stale), and a frame that does not parse is dropped and named as well. What comes out is unverified: the chunks'
// hashes are the truth.
//
// A span counts as settled towards the sender when it is whole, though not verified yet: a machine whose disk or processor
// is behind must not have it sent again, and one whose hashes are wrong is not asked of multicast anyway.
//
// A span that multicast will not bring is stale: named once by take_stale(), settled towards the sender, and its packets are
// ignored from then on. The owner gets it from the swarm.
//
// Not thread-safe. Spans at or above span_count are ignored.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "src/base/bitmap.h"
#include "src/base/seams.h"
#include "transport/multicast/packet.h"
#include "transport/multicast/report.h"

namespace stampede::multicast {

inline constexpr std::size_t kReceiverMemory = std::size_t{24} << 20;

struct ReceiverConfig {
  Shape shape;
  std::size_t memory = kReceiverMemory;  // frames and parity of open spans; one span is always allowed
};

struct Received {
  std::uint32_t span = 0;
  Frame frame;
};

class Receiver {
 public:
  // `have`: what is not wanted. `random` must outlive the receiver.
  Receiver(const ReceiverConfig& config, Bitmap have, Random& random, Instant now);
  ~Receiver();
  Receiver(Receiver&&) noexcept;
  Receiver& operator=(Receiver&&) noexcept;

  // A packet whose seal was right, with the sequence number of its clear header. A span comes out at most once.
  std::optional<Received> packet(std::uint64_t sequence, const Packet& packet, Instant now);

  // Held, by whatever path: after a Received was verified, and for every span from elsewhere.
  void have(std::uint32_t span);
  // The chunks of a Received were not what the manifest says: stale.
  void bad(std::uint32_t span);
  // The sender said so (Answer): stale, unless it was received in the meantime.
  void given_up(std::span<const std::uint32_t> spans);

  void set_policy(const Policy& policy, Instant now);
  // Spans received that wait for the disk.
  void set_backlog(std::uint32_t spans);

  // The report to send now, if any; call at next_poll().
  std::optional<Report> poll(Instant now);
  Instant next_poll() const;

  // Spans that became stale since the last call.
  std::vector<std::uint32_t> take_stale();

  struct Figures {
    std::uint64_t packets = 0;
    std::uint64_t lost = 0;        // by the gaps in the sequence
    std::uint64_t needless = 0;    // of spans or generations that were complete, or repeated
    std::uint64_t refused = 0;     // contradictory
    std::uint64_t decoded = 0;     // generations that needed parity
    std::size_t memory = 0;        // now
    std::optional<Instant> heard;  // last packet
  };
  Figures figures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stampede::multicast
