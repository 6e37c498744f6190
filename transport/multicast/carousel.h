// The sender's side: which symbols to send next. Pure: fed with events and a time, returns symbols.
//
// It sends the spans that at least one member lacks, in ascending order and round again until nobody lacks any; a member may
// join at any time. Spans go out in windows of about 64 generations, symbol by symbol over all of the window's generations
// (a burst of 200 lost packets costs each generation about 3), then parity that all recent windows needed anyway, then,
// while the next window goes out, what reports say is missing: of each generation the greatest number that any member lacks,
// as parity that was never sent before, so one symbol repairs different holes at different receivers.
//
// Nobody is waited for. A member that is silent for Policy::silence() counts as lacking nothing until it is heard again. One
// that loses much more than most do ("trailing", see Limits), makes the sender repair as if it did, or has seen nothing of
// the last 65,536 symbols, is answered with what it will not get, and gets that by unicast. So are those few (see Limits)
// that lack a span when its turn has come (again): the others can give it to them. What one lacks that joined in the middle
// of a window is not repaired but sent again in the next pass. Repair of a span that is long gone asks for its frame again.
// When it is idle() though members have not finished, they will get nothing more from here: tell them.
//
// Memory: a bit for each member and span, 17 bytes a span, and at most kFrameMemory of frames. Not thread-safe. Spans at or
// above span_count, unknown members and bitmaps of another size are ignored.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "src/base/bitmap.h"
#include "src/base/seams.h"
#include "transport/multicast/packet.h"
#include "transport/multicast/report.h"

namespace stampede::multicast {

using MemberId = std::uint32_t;

// Of symbols of the usual size; of larger ones fewer, since a receiver has room for so many bytes (kReceiverMemory).
inline constexpr std::uint32_t kWindowGenerations = 64;
inline constexpr std::size_t kFrameMemory = std::size_t{48} << 20;

struct Limits {
  // Members that may be left to unicast: at most this share of them (but one, if there are two), and only those that lose
  // more than twice what the worst of the others loses and `tolerance`.
  double few = 0.25;
  double tolerance = 0.10;
};

// To be sent as it is: encode(header), then the bytes, then zeros up to the symbol size.
struct Symbol {
  std::uint64_t sequence = 0;  // counts the stream's symbols, from 1; the packet's clear header carries it
  Header header;
  ByteView bytes;  // valid until the next call of any but const functions
};

struct Turn {
  std::vector<Symbol> symbols;
  std::vector<std::uint32_t> fetch;  // frames to provide(), soonest needed first; each is asked for once
  std::optional<Instant> next;       // poll again then if nothing else happens; none: after the next event
};

class Carousel {
 public:
  explicit Carousel(const Shape& shape, const Limits& limits = {});
  ~Carousel();
  Carousel(Carousel&&) noexcept;
  Carousel& operator=(Carousel&&) noexcept;

  // Joining again starts anew with that bitmap. `elsewhere`: spans that it lacks and is to get by unicast; it is told so
  // when it reports.
  void joined(MemberId member, Bitmap have, Instant now, std::vector<std::uint32_t> elsewhere = {});
  void left(MemberId member);
  // It got a span by another path.
  void has(MemberId member, std::uint32_t span, Instant now);
  Answer report(MemberId member, const Report& report, Instant now);

  // The frame of a span that was in `fetch` (packet.h); or the store cannot read it: it is left out of the stream.
  void provide(std::uint32_t span, std::shared_ptr<const Bytes> frame);
  void unavailable(std::uint32_t span);

  // What the link carries at present; the policy follows it.
  void set_rate(double bytes_per_second);
  const Policy& policy() const;

  // At most `room` symbols. Fewer: nothing is to be sent until `next`, or until provide().
  Turn poll(Instant now, std::size_t room);
  // Nobody lacks anything that this stream would bring.
  bool idle() const;

  struct Figures {
    std::uint64_t data = 0;    // symbols of each kind that were sent
    std::uint64_t parity = 0;  // sent unasked
    std::uint64_t repair = 0;
    std::uint32_t passes = 0;
    std::uint32_t members = 0;
    std::uint32_t trailing = 0;
    std::uint32_t lacked = 0;  // spans that some member lacks
  };
  Figures figures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stampede::multicast
