#include "src/deploy/moves.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <queue>

#include "chunker/parallel.h"
#include "src/base/file.h"
#include "src/deploy/scan.h"

namespace stampede::deploy {

namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::milliseconds kSettle{20};

// Every chunk lies aligned in its slab; the last of a FAT's file and of the disk are not whole blocks.
std::size_t room_of(const Plan& plan, const Move& move) {
  return round_up(plan.chunk(move.chunk).length, chunker::kBlock.bytes);
}

// Which moves have to read before which others may write. `moves` by source, apart.
class Hazards {
 public:
  Hazards(const Plan& plan, const std::vector<Move>& moves)
      : plan_(plan), moves_(moves), move_of_(plan.chunks(), kNone), before_(moves.size()) {
    for (std::uint32_t i = 0; i < moves.size(); ++i) move_of_[plan.number(moves[i].chunk)] = i;
    for (std::uint32_t i = 0; i < moves.size(); ++i) for_writers(i, [this](std::uint32_t writer) { ++before_[writer]; });
  }

  bool may_write(std::uint32_t move) const { return before_[move] == 0; }
  // The move has read, or will not: `free` is called with those that may write now.
  template <class Free>
  void release(std::uint32_t move, Free free) {
    for_writers(move, [&](std::uint32_t writer) {
      if (--before_[writer] == 0) free(writer);
    });
  }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  // Every place within its source that another move writes.
  template <class Visit>
  void for_writers(std::uint32_t reader, Visit visit) const {
    const Offset begin = moves_[reader].from, end = begin + Size{plan_.chunk(moves_[reader].chunk).length};
    const auto& places = plan_.places();
    auto place = std::ranges::upper_bound(places, begin, {}, &Place::at);
    if (place != places.begin() && std::prev(place)->at + std::prev(place)->length > begin) --place;
    for (; place != places.end() && place->at < end; ++place)
      if (const std::uint32_t writer = move_of_[plan_.number(place->chunk)]; writer != kNone && writer != reader)
        visit(writer);
  }

  const Plan& plan_;
  const std::vector<Move>& moves_;
  std::vector<std::uint32_t> move_of_;  // by the chunk's number
  std::vector<std::uint32_t> before_;   // how many readings this one's writing waits for
};

// Moves that may write now, by where they stand by source. The one that is nearest to the one before comes next: what moves
// as a whole is read and written as a whole, also where it shifts by so little that each piece makes room for one before it.
class Ready {
 public:
  explicit Ready(const std::vector<Move>& moves) : moves_(moves) {}

  bool empty() const { return above_.empty() && below_.empty(); }
  void push(std::uint32_t move) {
    if (move > last_)
      above_.push(move);
    else
      below_.push(move);
  }
  std::uint32_t pop() {
    const auto from = [this](std::uint32_t move) { return moves_[move].from; };
    const bool up =
        !above_.empty() && (below_.empty() || from(above_.top()) - from(last_) <= from(last_) - from(below_.top()));
    last_ = up ? above_.top() : below_.top();
    if (up)
      above_.pop();
    else
      below_.pop();
    return last_;
  }

 private:
  const std::vector<Move>& moves_;
  std::uint32_t last_ = 0;
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> above_;
  std::priority_queue<std::uint32_t> below_;
};

// By source. Pieces of the disk that are looked through overlap, and where they do other cuts may have been found in each:
// the later one is left out.
std::vector<Move> apart(const Plan& plan, std::vector<Move> moves) {
  std::ranges::sort(moves, {}, &Move::from);
  Offset end;
  std::erase_if(moves, [&](const Move& move) {
    if (move.from < end) return true;
    end = move.from + Size{plan.chunk(move.chunk).length};
    return false;
  });
  return moves;
}

// As many moves, in their order, as fill a slab. All of a batch are read before any of it is written, and Sources hears of
// them at once: within it they come by source.
std::vector<std::span<const Move>> batches_of(const Plan& plan, std::span<Move> moves) {
  std::vector<std::span<const Move>> out;
  for (std::size_t begin = 0; begin < moves.size();) {
    std::size_t end = begin, used = 0;
    while (end < moves.size() && used + room_of(plan, moves[end]) <= disk::kSlab.bytes) used += room_of(plan, moves[end++]);
    std::ranges::sort(moves.subspan(begin, end - begin), {}, &Move::from);
    out.push_back(moves.subspan(begin, end - begin));
    begin = end;
  }
  return out;
}

// Carries out batches on several threads. A batch may be read early, but is not written before all that come before it have
// been read: until then it is kept back, while its thread reads the next, and whoever reads the last one that was lacking
// writes them all.
class Mover {
 public:
  Mover(Plan& plan, disk::Target& target, std::vector<Move> moves, Sources& sources)
      : plan_(plan),
        target_(target),
        moves_(std::move(moves)),
        batches_(batches_of(plan, moves_)),
        sources_(sources),
        most_kept_back_(std::max(1U, all_slabs() / 2)),
        placed_(batches_.size()),
        left_(plan.spans().size()) {
    for (const Move& move : moves_) ++left_[move.chunk.span.value];
  }

  // The plain bytes that were placed.
  Result<Size> run(const Settled& settled) {
    const auto make_job = [this]() -> chunker::Job {
      return [this, file = std::unique_ptr<disk::Reader>(),
              digester = chunker::Digester()](std::size_t batch) mutable -> Result<> {
        if (!file) {
          auto opened = target_.reader();
          if (!opened) stop(opened.error());  // the others' batches wait for this one
          if (!opened) return why_stopped();
          file = *std::move(opened);
          file->will_read_into(target_.slab_memory());
        }
        return carry_out(*file, digester, batch);
      };
    };
    const auto ask = [&] {
      if (!settled(settle()))
        stop({Code::interrupted, fmt::format("moving what {} holds was interrupted", target_.identity().path)});
    };
    const unsigned threads = std::min(4 * chunker::thread_count(0), most_kept_back_);
    const auto all = chunker::run_parallel(threads, batches_.size(), make_job, ask, kSettle);
    if (!is_stopped()) sources_.all_have_read();  // or what is left of the sources stays for the next run
    wait_for_writes(ask);
    ask();
    STAMPEDE_CHECK(all);
    const std::lock_guard lock(mutex_);
    if (stopped_) return pass(*stopped_);
    return moved_;
  }

 private:
  struct Verified {
    ChunkIndex index;
    chunker::VerifiedChunk chunk;
    chunker::Fingerprint fingerprint;
  };
  struct Read {
    disk::Slab slab;
    std::vector<Verified> chunks;  // in it
  };
  using KeptBack = std::map<std::size_t, Read>;  // by batch

  Result<> carry_out(const disk::Reader& file, chunker::Digester& digester, std::size_t batch) {
    disk::Slab slab = wait_for_slab(batch);
    if (!slab) return why_stopped();
    auto chunks = read(file, digester, slab.bytes(), batches_[batch]);
    sources_.have_read(static_cast<std::size_t>(batches_[batch].data() - moves_.data()), batches_[batch].size());
    keep_back(batch, {std::move(slab), std::move(chunks)});
    while (auto next = next_to_write()) write(next.key(), std::move(next.mapped()));
    return {};
  }

  void write(std::size_t batch, Read read) {
    std::vector<disk::Placement> placements;
    for (const auto& [index, chunk, fingerprint] : read.chunks) {
      plan_.add_placements(chunk, index, placements);
      plan_.remember(index, fingerprint);
      placed_[batch].push_back(index);
    }
    if (placements.empty()) return end_write(batch, true);
    target_.place(std::move(read.slab), std::move(placements),
                  [this, batch](const Result<>& result) { end_write(batch, result.has_value()); });
  }

  // Those of the batch that are where they should be. What lies side by side is read at once; what cannot be read is not
  // there.
  std::vector<Verified> read(const disk::Reader& file, chunker::Digester& digester, MutableBytes out,
                             std::span<const Move> batch) const {
    std::vector<ChunkIndex> chunks;
    std::vector<ByteView> plain;
    for (std::size_t begin = 0; begin < batch.size();) {
      std::size_t end = begin, size = 0;
      while (end < batch.size() && batch[end].from == batch[begin].from + Size{size}) size += room_of(plan_, batch[end++]);
      const std::size_t got = read_what_can_be(file, batch[begin].from, out.first(size));
      for (std::size_t at = 0; begin < end; ++begin) {
        const std::size_t length = plan_.chunk(batch[begin].chunk).length;
        if (at + length <= got) {
          chunks.push_back(batch[begin].chunk);
          plain.push_back(out.subspan(at, length));
        }
        at += room_of(plan_, batch[begin]);
      }
      out = out.subspan(size);
    }
    const auto named = digester.recognise(plain);
    std::vector<Verified> verified;
    for (std::size_t i = 0; i < chunks.size(); ++i)
      if (named[i].id() == plan_.chunk(chunks[i]).id)
        verified.push_back({chunks[i], named[i], chunker::fingerprint(plain[i])});
    return verified;
  }

  unsigned all_slabs() const { return static_cast<unsigned>(target_.slab_memory().size() / disk::kSlab.bytes); }

  // What is kept back holds slabs: were those all of them, the batch that it waits for might get none. And what comes by the
  // network meanwhile needs some too.
  disk::Slab wait_for_slab(std::size_t batch) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || batch < next_ + most_kept_back_; });
    while (!stopped_) {
      if (auto slab = target_.try_slab()) return slab;
      changed_.wait_for(lock, std::chrono::milliseconds(1));
    }
    return {};
  }
  void keep_back(std::size_t batch, Read read) {
    const std::lock_guard lock(mutex_);
    kept_back_.emplace(batch, std::move(read));
  }
  // The one before which all have been read; empty where it is not there yet.
  KeptBack::node_type next_to_write() {
    KeptBack::node_type next;
    {
      const std::lock_guard lock(mutex_);
      if (!stopped_) next = kept_back_.extract(next_);
      if (!next) return next;
      ++next_;
      ++writes_;
    }
    changed_.notify_all();
    return next;
  }
  // Of a failing write flush() tells.
  void end_write(std::size_t batch, bool right) {
    const std::lock_guard lock(mutex_);
    --writes_;
    if (right) over_.push_back(batch);
    changed_.notify_all();  // under the lock: whoever waits may be gone right after it
  }
  // Spans that are held then are in their places, so that the journal may name them.
  void wait_for_writes(const std::function<void()>& ask) {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kTick, [&] { return writes_ == 0; })) {
      lock.unlock();
      ask();
      lock.lock();
    }
  }
  // What is over since the last time is held. The calling thread.
  std::vector<chunker::SpanIndex> settle() {
    std::vector<std::size_t> over;
    {
      const std::lock_guard lock(mutex_);
      over.swap(over_);
    }
    std::vector<chunker::SpanIndex> spans;
    for (const std::size_t batch : over) {
      for (const ChunkIndex chunk : placed_[batch]) {
        plan_.hold(chunk);
        moved_ += plan_.placed_size(chunk);
      }
      placed_[batch] = {};
      for (const Move& move : batches_[batch])
        if (--left_[move.chunk.span.value] == 0) spans.push_back(move.chunk.span);
    }
    return spans;
  }
  void stop(Error why) {
    {
      const std::lock_guard lock(mutex_);
      if (!stopped_) stopped_ = std::move(why);
    }
    changed_.notify_all();
  }
  bool is_stopped() {
    const std::lock_guard lock(mutex_);
    return stopped_.has_value();
  }
  Result<> why_stopped() {
    const std::lock_guard lock(mutex_);
    return std::unexpected(*stopped_);
  }

  Plan& plan_;
  disk::Target& target_;
  std::vector<Move> moves_;
  const std::vector<std::span<const Move>> batches_;
  Sources& sources_;
  const unsigned most_kept_back_;                // from the one that is to be written next: so many batches may have a slab
  std::vector<std::vector<ChunkIndex>> placed_;  // by batch
  std::vector<std::uint32_t> left_;              // by span: its moves that are not over. The calling thread's, as is moved_
  Size moved_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t next_ = 0;  // this batch is to be written next
  KeptBack kept_back_;
  std::size_t writes_ = 0;         // begun and not ended
  std::vector<std::size_t> over_;  // batches that are written
  std::optional<Error> stopped_;
};

}  // namespace

std::vector<Move> safe_order(const Plan& plan, std::vector<Move> moves) {
  moves = apart(plan, std::move(moves));
  Hazards hazards(plan, moves);
  Ready ready(moves);
  const auto count = static_cast<std::uint32_t>(moves.size());
  for (std::uint32_t i = 0; i < count; ++i)
    if (hazards.may_write(i)) ready.push(i);

  std::vector<Move> order;
  order.reserve(count);
  std::vector<bool> settled(count);
  const auto settle = [&](std::uint32_t move) {
    settled[move] = true;
    hazards.release(move, [&](std::uint32_t free) {
      if (!settled[free]) ready.push(free);
    });
  };
  for (std::uint32_t next = 0; next < count; ++next) {
    while (!ready.empty()) {
      const std::uint32_t move = ready.pop();
      order.push_back(moves[move]);
      settle(move);
    }
    if (!settled[next]) settle(next);  // all that are left wait for each other
  }
  return order;
}

Sources::Sources(const Plan& plan, std::span<const Move> moves) : waits_(moves.size(), true), left_(moves.size()) {
  sources_.reserve(moves.size());
  for (std::size_t i = 0; i < moves.size(); ++i)
    sources_.push_back({{moves[i].from, Size{plan.chunk(moves[i].chunk).length}}, i});
  std::ranges::sort(sources_, {}, [](const Source& source) { return source.range.at; });
}

void Sources::have_read(std::size_t first, std::size_t count) {
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = first; i < first + count; ++i) {
      if (waits_[i]) --left_;
      waits_[i] = false;
    }
  }
  if (on_read_) on_read_();
}

void Sources::all_have_read() { have_read(0, waits_.size()); }

bool Sources::are_clear_of(Range range) const {
  const std::lock_guard lock(mutex_);
  if (left_ == 0) return true;
  auto source = std::ranges::upper_bound(sources_, range.at, {}, [](const Source& one) { return one.range.end(); });
  for (; source != sources_.end() && source->range.at < range.end(); ++source)
    if (waits_[source->move]) return false;
  return true;
}

Result<Size> carry_out(Plan& plan, disk::Target& target, std::vector<Move> moves, Sources& sources, const Settled& settled) {
  return Mover(plan, target, std::move(moves), sources).run(settled);
}

}  // namespace stampede::deploy
