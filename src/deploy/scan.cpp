#include "src/deploy/scan.h"

#include <algorithm>
#include <limits>

#include "chunker/cutter.h"
#include "chunker/parallel.h"
#include "src/base/aligned.h"

namespace stampede::deploy {

namespace {

constexpr Offset kNowhere{std::numeric_limits<std::uint64_t>::max()};
constexpr std::size_t kBlock = chunker::kBlock.bytes;
constexpr std::size_t kReadStep = 64UL << 10;
constexpr Size kMemory = kScanPiece + kScanOverlap;

// How much of it comes before a block of zeros.
std::size_t run_of_data(ByteView bytes) {
  std::size_t end = 0;
  while (end < bytes.size() && !all_zero(bytes.subspan(end, std::min(kBlock, bytes.size() - end)))) end += kBlock;
  return std::min(end, bytes.size());
}

// What threads read into: the target's slabs, as far as they reach. New memory takes time.
class Memories {
 public:
  explicit Memories(disk::Target& target) {
    while (auto slab = target.try_slab()) slabs_.push_back(std::move(slab));
    if (slabs_.size() * disk::kSlab.bytes == target.slab_memory().size())
      left_ = target.slab_memory();
    else
      slabs_.clear();
  }
  // One for each thread; any thread.
  MutableBytes take() {
    const std::lock_guard lock(mutex_);
    if (left_.size() < kMemory.bytes) return own_.emplace_back(kMemory.bytes).bytes();
    const MutableBytes out = left_.first(kMemory.bytes);
    left_ = left_.subspan(kMemory.bytes);
    return out;
  }

 private:
  std::vector<disk::Slab> slabs_;  // all of them, or nobody reads into them
  std::mutex mutex_;
  MutableBytes left_;
  std::vector<AlignedMemory> own_;
};

// Of one thread.
struct Tools {
  MutableBytes memory;
  std::unique_ptr<disk::Reader> file;
  chunker::Digester digester;
};

unsigned scan_threads() { return std::clamp(2 * chunker::thread_count(0), 8U, kMostScanThreads); }

}  // namespace

std::size_t read_what_can_be(const disk::Reader& file, Offset at, MutableBytes out) {
  if (const auto got = file.read_some_at(at, out)) return *got;
  std::size_t end = 0;
  for (std::size_t done = 0; done < out.size(); done += kReadStep) {
    const MutableBytes step = out.subspan(done, std::min(kReadStep, out.size() - done));
    const auto got = file.read_some_at(at + Size{done}, step);
    if (got && *got == 0) break;
    if (!got) std::ranges::fill(step, std::byte{0});
    end = done + got.value_or(step.size());
  }
  return end;
}

Scan::Scan(Plan& plan, disk::Target& target, const std::vector<bool>& asked, std::span<const Range> off_grid)
    : plan_(plan),
      target_(target),
      asked_(asked),
      off_grid_(off_grid),
      matching_(plan.places().size()),
      sources_(plan.chunks(), kNowhere) {}

Result<> Scan::run(std::span<const Range> ranges, bool elsewhere, const std::function<bool(Size read)>& progress) {
  std::vector<Piece> pieces;
  for (const Range& range : ranges)
    for (Offset at = range.at; at < range.end(); at += kScanPiece)
      pieces.push_back(
          {{at, std::min(kScanPiece + kScanOverlap, range.end() - at)}, std::min(kScanPiece, range.end() - at)});
  std::atomic<bool> stopped = false;
  const auto interrupted = [this] { return fail(Code::interrupted, "reading {} was interrupted", target_.identity().path); };
  Memories memories(target_);
  const auto make_job = [&]() -> chunker::Job {
    return [&, tools = Tools()](std::size_t index) mutable -> Result<> {
      if (stopped) return interrupted();
      if (!tools.file) {
        STAMPEDE_TRY(tools.file, target_.reader());
        tools.memory = memories.take();
        tools.file->will_read_into(tools.memory);
      }
      search({*tools.file, pieces[index], tools.memory}, elsewhere, tools.digester);
      return {};
    };
  };
  STAMPEDE_CHECK(chunker::run_parallel(scan_threads(), pieces.size(), make_job, [&] {
    if (progress && !progress(read())) stopped = true;
  }));
  if (stopped) return interrupted();
  return {};
}

void Scan::search(Reading reading, bool elsewhere, chunker::Digester& digester) {
  const auto& [begin, own] = std::pair(reading.piece.range.at, reading.piece.own);
  const auto& all = plan_.places();
  const auto first = std::ranges::lower_bound(all, begin, {}, &Place::at);
  const std::span<const Place> places(first, std::ranges::lower_bound(all, begin + own, {}, &Place::at));
  // What begins in the piece may end later.
  const Offset last = places.empty() ? begin : places.back().at + places.back().length;
  ByteView bytes = read(reading, std::max(own, last - begin));
  Seen seen;
  search_places(places, begin, bytes, digester, seen);
  if (elsewhere) {
    std::vector<Cut> cuts;
    std::size_t left = 0;  // up to here everything is known
    for (const auto& [index, fingerprint] : seen.places) {
      const std::size_t at = (all[index].at - begin).bytes;
      cut_up(begin + Size{left}, bytes.subspan(left, at - left), cuts);
      left = at + all[index].length.bytes;
    }
    if (left < own.bytes) {
      bytes = read(reading, reading.piece.range.length);
      bytes = bytes.first(std::max<std::size_t>(left, round_down(bytes.size(), kBlock)));
      cut_up(begin + Size{left}, bytes.subspan(left), cuts);
    }
    search_cuts(cuts, digester, seen);
  }
  note(seen);
}

// So much of the piece, or less where there is not as much of it or of the disk.
ByteView Scan::read(Reading& reading, Size wanted) {
  const auto& [at, length] = reading.piece.range;
  const std::size_t end = std::min(wanted, length).bytes, from = reading.got;
  if (from == round_down(from, kBlock) && from < end) {
    reading.got +=
        read_what_can_be(reading.file, at + Size{from}, reading.memory.subspan(from, round_up(end - from, kBlock)));
    reading.got = std::min<std::size_t>(reading.got, length.bytes);
    read_ += reading.got - from;
  }
  return reading.memory.first(std::min(reading.got, end));
}

// What stands in its place. A chunk ends where its own bytes say: what would be cut shorter is another one, and needs no
// hashing.
void Scan::search_places(std::span<const Place> places, Offset begin, ByteView bytes, chunker::Digester& digester,
                         Seen& seen) {
  std::vector<const Place*> asked;
  std::vector<ByteView> plain;
  for (const Place& place : places) {
    const std::size_t at = (place.at - begin).bytes;
    if (!asked_[number_of(place)] || at + place.length.bytes > bytes.size()) continue;
    const ByteView here = bytes.subspan(at, place.length.bytes);
    if (here.size() % kBlock == 0 && (run_of_data(here) < here.size() || chunker::cut(here).bytes < here.size())) continue;
    asked.push_back(&place);
    plain.push_back(here);
  }
  const auto named = digester.recognise(plain);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (named[i].id() == plan_.chunk(asked[i]->chunk).id)
      seen.places.emplace_back(number_of(*asked[i]), chunker::fingerprint(plain[i]));
    else
      seen.others.push_back({{asked[i]->at, asked[i]->length}, named[i].id()});
  }
}

std::size_t Scan::number_of(const Place& place) const { return static_cast<std::size_t>(&place - plan_.places().data()); }

// In blocks of the disk, and within what is off their grid in its own.
void Scan::cut_up(Offset begin, ByteView bytes, std::vector<Cut>& cuts) {
  const Offset end = begin + Size{bytes.size()};
  auto own = std::ranges::upper_bound(off_grid_, begin, {}, [](const auto& range) { return range.end(); });
  for (Offset at = begin; at < end;) {
    const bool within = own != off_grid_.end() && own->at <= at;
    const Offset grid = within ? own->at : Offset{};
    const Offset stop = own == off_grid_.end() ? end : std::min(end, within ? own->end() : own->at);
    const Offset from = grid + Size{round_up((at - grid).bytes, kBlock)};
    if (from < stop) cut_blocks(from, bytes.subspan((from - begin).bytes, (stop - from).bytes), cuts);
    if (within) ++own;
    at = stop;
  }
}

void Scan::cut_blocks(Offset begin, ByteView bytes, std::vector<Cut>& cuts) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ByteView run =
        bytes.subspan(at, run_of_data(bytes.subspan(at, std::min(chunker::kMaxChunk.bytes, bytes.size() - at))));
    if (run.empty()) {
      at += kBlock;
      continue;
    }
    const Size length = chunker::cut(run);
    data_ += length.bytes;
    cuts.push_back({{begin + Size{at}, length}, run.first(length.bytes)});
    at += length.bytes;
  }
}

void Scan::search_cuts(const std::vector<Cut>& cuts, chunker::Digester& digester, Seen& seen) const {
  const auto find = [&](const Range& range, const chunker::ChunkId& id) {
    const auto chunk = plan_.find(id);
    if (chunk && !target_.holds_back(range.at, range.length)) seen.chunks.emplace_back(*chunk, range.at);
  };
  std::vector<Range> unknown;
  std::vector<ByteView> plain;
  for (const Cut& cut : cuts) {
    const auto known =
        std::ranges::lower_bound(seen.others, cut.range.at, {}, [](const Named& one) { return one.range.at; });
    if (known != seen.others.end() && known->range == cut.range) {
      find(cut.range, known->id);
    } else {
      unknown.push_back(cut.range);
      plain.push_back(cut.bytes);
    }
  }
  const auto named = digester.recognise(plain);
  for (std::size_t i = 0; i < named.size(); ++i) find(unknown[i], named[i].id());
}

void Scan::note(const Seen& seen) {
  const std::lock_guard lock(mutex_);
  for (const auto& [index, fingerprint] : seen.places) {
    const Place& place = plan_.places()[index];
    matching_[index] = true;
    plan_.remember(place.chunk, fingerprint);
    note_source(place.chunk, place.at);
  }
  for (const auto& [chunk, at] : seen.chunks)
    if (note_source(chunk, at)) found_ += plan_.chunk(chunk).length;
}

bool Scan::note_source(ChunkIndex chunk, Offset at) {
  Offset& source = sources_[plan_.number(chunk)];
  const bool first = source == kNowhere;
  source = std::min(source, at);
  return first;
}

std::vector<Move> Scan::moves() const {
  std::vector<Move> out;
  for (std::uint32_t span = 0; span < plan_.spans().size(); ++span)
    for (std::uint32_t i = 0; i < plan_.spans()[span].chunks.size(); ++i) {
      const ChunkIndex chunk{{span}, i};
      if (const Offset from = sources_[plan_.number(chunk)]; from != kNowhere && !plan_.holds(chunk))
        out.push_back({chunk, from});
    }
  return out;
}

}  // namespace stampede::deploy
