#include "src/deploy/moves.h"

#include <algorithm>
#include <queue>
#include <thread>

#include "src/base/file.h"
#include "src/disk/aligned.h"

namespace stampede::deploy {

namespace {

// Which moves have to read before which others may write.
class Hazards {
 public:
  Hazards(const Plan& plan, const std::vector<Move>& moves) : before_(moves.size()), after_(moves.size()) {
    for (std::size_t writer = 0; writer < moves.size(); ++writer)
      for (const Offset at : plan.places_of(moves[writer].chunk))
        add_readers(plan, moves, writer, at, at + Size{plan.chunk(moves[writer].chunk).length});
  }

  std::size_t before(std::size_t move) const { return before_[move]; }
  // The move has read, or will not: those that become free.
  std::vector<std::size_t> release(std::size_t move) {
    std::vector<std::size_t> free;
    for (const std::size_t writer : after_[move])
      if (--before_[writer] == 0) free.push_back(writer);
    after_[move].clear();
    return free;
  }

 private:
  // `moves` by source.
  void add_readers(const Plan& plan, const std::vector<Move>& moves, std::size_t writer, Offset begin, Offset end) {
    auto reader = std::ranges::upper_bound(moves, begin, {}, &Move::from);
    if (reader != moves.begin()) --reader;
    for (; reader != moves.end() && reader->from < end; ++reader) {
      const auto index = static_cast<std::size_t>(reader - moves.begin());
      if (index == writer || reader->from + Size{plan.chunk(reader->chunk).length} <= begin) continue;
      after_[index].push_back(writer);
      ++before_[writer];
    }
  }

  std::vector<std::size_t> before_;              // how many have to read before this one writes
  std::vector<std::vector<std::size_t>> after_;  // who waits for this one's reading
};

// Reads chunks for a slab's worth of placements at a time.
class Mover {
 public:
  Mover(Plan& plan, disk::Target& target, File disk) : plan_(plan), target_(target), disk_(std::move(disk)) {}

  Result<> add(const Move& move, const std::function<bool()>& go_on) {
    const chunker::SpanChunk& chunk = plan_.chunk(move.chunk);
    const std::size_t room = round_up(chunk.length, chunker::kBlock.bytes);
    if (used_ + room > disk::kSlab.bytes) place();
    if (!slab_) STAMPEDE_CHECK(take_slab(go_on));
    const MutableBytes out = slab_.bytes().subspan(used_, room);
    STAMPEDE_TRY(const std::size_t got, disk_.read_some_at(move.from, out));
    if (got < chunk.length) return {};
    const auto verified = digester_.name(out.first(chunk.length));
    if (verified.id() != chunk.id) return {};
    plan_.add_placements(verified, chunk.offset, placements_);
    plan_.remember(move.chunk, chunker::fingerprint(verified.bytes()));
    plan_.hold(move.chunk);
    moved_ += plan_.placed_size(move.chunk);
    used_ += room;
    return {};
  }

  void place() {
    if (!placements_.empty())
      target_.place(std::move(slab_), std::exchange(placements_, {}), [](const Result<>&) {});  // flush() tells of a failure
    used_ = 0;
  }
  Size moved() const { return moved_; }

 private:
  Result<> take_slab(const std::function<bool()>& go_on) {
    while (!(slab_ = target_.try_slab())) {
      if (!go_on()) return fail(Code::interrupted, "moving what {} holds was interrupted", target_.identity().path);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return {};
  }

  Plan& plan_;
  disk::Target& target_;
  const File disk_;
  chunker::Digester digester_;
  disk::Slab slab_;
  std::size_t used_ = 0;
  std::vector<disk::Placement> placements_;
  Size moved_;
};

}  // namespace

std::vector<Move> safe_order(const Plan& plan, std::vector<Move> moves) {
  std::ranges::sort(moves, {}, &Move::from);
  Hazards hazards(plan, moves);
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < moves.size(); ++i)
    if (hazards.before(i) == 0) ready.push(i);

  std::vector<Move> order;
  std::vector<bool> settled(moves.size());
  const auto settle = [&](std::size_t move) {
    settled[move] = true;
    for (const std::size_t free : hazards.release(move))
      if (!settled[free]) ready.push(free);
  };
  for (std::size_t next = 0; next < moves.size(); ++next) {
    while (!ready.empty()) {
      const std::size_t move = ready.top();
      ready.pop();
      order.push_back(moves[move]);
      settle(move);
    }
    if (!settled[next]) settle(next);  // all that are left wait for each other
  }
  return order;
}

Result<Size> carry_out(Plan& plan, disk::Target& target, std::span<const Move> moves, const std::function<bool()>& go_on) {
  if (moves.empty()) return Size{};
  STAMPEDE_TRY(auto reader, target.reader());
  Mover mover(plan, target, std::move(reader));
  for (const Move& move : moves) STAMPEDE_CHECK(mover.add(move, go_on));
  mover.place();
  return mover.moved();
}

}  // namespace stampede::deploy
