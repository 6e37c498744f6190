// What was sent of which generation and what is still to be sent of it, so that a report is answered with exactly what it
// needs: what left after the state that it describes is on its way and not sent again. Private to this room.
//
// A symbol is on its way until the reporter has seen a later one, or for kFlight. Entries live as long as something is on
// its way or to be sent; of others only the next fresh parity index and the first symbol's number are kept, 9 bytes for each
// span.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "src/base/seams.h"
#include "transport/multicast/packet.h"
#include "transport/multicast/report.h"

namespace stampede::multicast {

inline constexpr Duration kFlight = std::chrono::milliseconds(30);
inline constexpr double kAnticipation = 0.6;

struct GenerationId {
  std::uint32_t span = 0;
  std::uint32_t generation = 0;
};

class Ledger {
 public:
  explicit Ledger(std::uint32_t spans) : used_(spans), began_(spans) {}

  std::uint64_t sequence() const { return sequence_; }

  // The span will go out with so many symbols in each generation.
  void plan(std::uint32_t span, const Layout& layout, std::uint32_t parity);
  // The next symbol of the stream is of this generation; its sequence number.
  std::uint64_t send(std::uint32_t span, std::uint32_t generation, bool planned);
  // A parity index that was not used of this generation before; they start again when all were.
  std::uint8_t fresh_index(std::uint32_t span, std::uint32_t generation, std::uint32_t k);

  // Asks for what is missing, as of `seen`, and neither on its way nor planned, and for what of that the loss will take; and
  // for `spare` more if it is anything.
  // How many symbols more than were asked for already.
  std::uint32_t ask(const Lack& lack, double loss, std::uint64_t seen, std::uint32_t spare);
  // One for which repair is asked, each in its turn; send() it, or forget() the span.
  std::optional<GenerationId> next_repair();
  void forget(std::uint32_t span);

  // The number of the first symbol when the span was last planned; 0 if it never was.
  std::uint64_t began(std::uint32_t span) const { return began_[span]; }
  // Repair is asked for or on its way.
  bool in_repair(std::uint32_t span) const;
  // All that was sent so far was sent by now; what has landed is forgotten.
  void tick(Instant now);

 private:
  struct Generation {
    std::vector<std::uint64_t> sent;  // in order
    std::uint32_t planned = 0;
    std::uint32_t asked = 0;
    std::uint32_t used = 0;      // parity indices
    std::uint64_t repaired = 0;  // number of the last repair symbol
    bool in_turn = false;
  };
  struct Entry {
    std::vector<Generation> generations;
  };
  Generation& generation(std::uint32_t span, std::uint32_t generation);
  bool alive(const Generation& generation) const;
  void sweep();

  std::uint64_t sequence_ = 0;
  std::uint64_t landed_ = 0;
  std::deque<std::pair<Instant, std::uint64_t>> marks_;
  std::map<std::uint32_t, Entry> entries_;
  std::deque<GenerationId> turn_;
  std::vector<std::uint8_t> used_;  // parity indices of spans without an entry
  std::vector<std::uint64_t> began_;
  Instant swept_{};
};

}  // namespace stampede::multicast
