#include "src/deploy/survey.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "chunker/cutter.h"
#include "chunker/parallel.h"
#include "src/disk/aligned.h"
#include "src/volume/inspect.h"

namespace stampede::deploy {

namespace {

constexpr Size kOverlap = 512_KiB, kSamplePiece = 512_KiB;
constexpr std::size_t kSurveyPart = 16384;  // ranges that are compared at once

Result<bool> sample_matches(const Plan& plan, disk::Target& target) {
  const std::size_t all = plan.places().size(), count = std::min(kSampled, all);
  std::vector<disk::Expected> sample;
  for (std::size_t i = 0; i < count; ++i) sample.push_back(plan.expected(i * all / count));
  const auto matching = target.compare(sample, {});
  if (!matching && matching.error().code == Code::read_failed) return false;  // nothing of it is needed
  if (!matching) return pass(matching.error());
  return static_cast<std::size_t>(std::ranges::count(*matching, true)) * kSampled >= kWorthwhile * count;
}

// Of the places that are `asked` for, those that are right. A part of them at a time: no list of all of it is needed.
Result<std::vector<bool>> in_place(Plan& plan, disk::Target& target, const std::vector<bool>& asked,
                                   const std::function<bool(Size)>& progress) {
  std::vector<bool> matching(asked.size());
  Size done;
  for (std::size_t next = 0; next < asked.size();) {
    std::vector<disk::Expected> expected;
    std::vector<std::size_t> places;
    for (; next < asked.size() && places.size() < kSurveyPart; ++next) {
      if (!asked[next]) continue;
      places.push_back(next);
      expected.push_back(plan.expected(next));
      // What was on the disk before us is believed by its SHA-256 alone: a fingerprint can be forged.
      expected.back().fingerprint.reset();
    }
    std::vector<chunker::Fingerprint> fingerprints;
    const auto report = [&](Size part) { return !progress || progress(done + part); };
    const auto right = target.compare(expected, report, &fingerprints);
    if (!right && right.error().code != Code::read_failed) return pass(right.error());
    for (std::size_t i = 0; i < places.size(); ++i) {
      done += expected[i].length;
      // Where a sector cannot be read none of the part counts: all that can be read is looked for elsewhere.
      if (!right || !(*right)[i]) continue;
      plan.remember(plan.places()[places[i]].chunk, fingerprints[i]);
      matching[places[i]] = true;
    }
  }
  return matching;
}

// The places that begin() leaves alone, and of those only the journal's where there is one.
std::vector<bool> places_to_read(const Plan& plan, const disk::Target& target, const Bitmap* journal) {
  std::vector<bool> out = journal != nullptr ? plan.places_of(*journal) : std::vector<bool>(plan.places().size(), true);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (target.holds_back(plan.places()[i].at, plan.places()[i].length)) out[i] = false;
  return out;
}

// Chunks of which one place of several is right.
std::vector<Move> from_repeats(const Plan& plan, const std::vector<bool>& matching) {
  std::vector<Move> moves;
  for (std::size_t i = 0; i < matching.size(); ++i)
    if (matching[i] && !plan.holds(plan.places()[i].chunk)) moves.push_back({plan.places()[i].chunk, plan.places()[i].at});
  std::ranges::sort(moves, {}, &Move::chunk);
  const auto twice = std::ranges::unique(moves, {}, &Move::chunk);
  moves.erase(twice.begin(), twice.end());
  return moves;
}

// Looks for chunks in what is neither kept nor about to be blanked.
class Scan {
 public:
  Scan(const Plan& plan, const disk::Target& target, const std::vector<Move>& found) {
    for (std::uint32_t span = 0; span < plan.spans().size(); ++span)
      for (std::uint32_t i = 0; i < plan.spans()[span].chunks.size(); ++i)
        if (!plan.holds({{span}, i})) lacking_.emplace(plan.chunk({{span}, i}).id, ChunkIndex{{span}, i});
    for (const Move& move : found) lacking_.erase(plan.chunk(move.chunk).id);
    target_ = &target;
  }

  // A chunk that begins in one piece is looked for to its end, and for a while the next piece's too: by then its own cuts
  // have fallen in with them.
  void add_range(Offset begin, Offset end) {
    end.bytes = round_down(end.bytes, chunker::kBlock.bytes);
    for (Offset at{round_up(begin.bytes, chunker::kBlock.bytes)}; at < end; at += kScanPiece)
      pieces_.push_back({at, std::min(kScanPiece + kOverlap, end - at)});
  }
  // Of all that was added, a few short pieces, evenly spread.
  void sample() {
    std::vector<disk::Range> few;
    const std::size_t count = std::min(kSampled, pieces_.size());
    for (std::size_t i = 0; i < count; ++i) {
      few.push_back(pieces_[i * pieces_.size() / count]);
      few.back().length = std::min(few.back().length, kSamplePiece);
    }
    pieces_ = std::move(few);
  }

  Result<std::vector<Move>> run(const std::function<bool(Size)>& progress) {
    if (lacking_.empty() || pieces_.empty()) return std::vector<Move>{};
    std::atomic<bool> stopped = false;
    const auto make_job = [&]() -> chunker::Job {
      return [&, file = std::optional<File>(), memory = disk::AlignedMemory((kScanPiece + kOverlap).bytes),
              digester = chunker::Digester()](std::size_t index) mutable -> Result<> {
        if (stopped) return fail(Code::interrupted, "reading {} was interrupted", target_->identity().path);
        if (!file) {
          STAMPEDE_TRY(file, target_->reader());
        }
        return search(*file, pieces_[index], memory.bytes(), digester);
      };
    };
    STAMPEDE_CHECK(chunker::run_parallel(0, pieces_.size(), make_job, [&] {
      if (progress && !progress({read_})) stopped = true;
    }));
    return std::move(moves_);
  }
  Size read() const { return {read_}; }
  // What was not zeros, and the part of it that the image wants.
  Size data() const { return {data_}; }
  Size found() const { return {found_}; }

 private:
  Result<> search(const File& file, disk::Range piece, MutableBytes memory, chunker::Digester& digester) {
    const auto got = file.read_some_at(piece.at, memory.first(piece.length.bytes));
    if (!got) return {};  // what cannot be read is not there: nobody needs it
    const ByteView bytes = memory.first(round_down(*got, chunker::kBlock.bytes));
    read_ += bytes.size();
    for (std::size_t at = 0; at < bytes.size();) {
      std::size_t end = at;
      while (end < bytes.size() && end - at < chunker::kMaxChunk.bytes && !all_zero(block(bytes, end)))
        end += chunker::kBlock.bytes;
      if (end == at) {
        at += chunker::kBlock.bytes;
        continue;
      }
      const Size length = chunker::cut(bytes.subspan(at, end - at));
      data_ += length.bytes;
      look_up(digester.name(bytes.subspan(at, length.bytes)).id(), piece.at + Size{at}, length);
      at += length.bytes;
    }
    return {};
  }
  static ByteView block(ByteView bytes, std::size_t at) { return bytes.subspan(at, chunker::kBlock.bytes); }

  void look_up(const chunker::ChunkId& id, Offset at, Size length) {
    if (target_->holds_back(at, length)) return;
    const std::lock_guard lock(mutex_);
    const auto found = lacking_.find(id);
    if (found == lacking_.end()) return;
    found_ += length.bytes;
    moves_.push_back({found->second, at});
    lacking_.erase(found);
  }

  const disk::Target* target_ = nullptr;
  std::vector<disk::Range> pieces_;
  std::atomic<std::uint64_t> read_ = 0, data_ = 0, found_ = 0;
  std::mutex mutex_;
  std::unordered_map<chunker::ChunkId, ChunkIndex> lacking_;
  std::vector<Move> moves_;
};

// Where the disk may hold something, in order; where nobody knows, as on one that is blanked, where the image will be.
std::vector<disk::Range> where_things_are(const Plan& plan, const disk::Target& target) {
  std::vector<disk::Range> out;
  if (const auto used = volume::used_ranges(target.identity().path))
    for (const auto& range : *used) out.push_back({range.at, range.length});
  if (out.empty())
    for (const Place& place : plan.places()) out.push_back({place.at, place.length});
  return out;
}

// The parts of `ranges` up to `end` in which no place is that matches; neighbours joined.
std::vector<disk::Range> unmatched(const Plan& plan, const std::vector<bool>& matching,
                                   const std::vector<disk::Range>& ranges, Offset end) {
  std::vector<disk::Range> out;
  const auto add = [&](Offset from, Offset to) {
    to = std::min(to, end);
    if (from >= to) return;
    if (!out.empty() && out.back().end() == from)
      out.back().length += to - from;
    else
      out.push_back({from, to - from});
  };
  std::size_t next = 0;
  for (const disk::Range& range : ranges) {
    Offset at = range.at;
    while (next < matching.size() && plan.places()[next].at + plan.places()[next].length <= at) ++next;
    for (std::size_t i = next; i < matching.size() && plan.places()[i].at < range.end(); ++i) {
      if (!matching[i]) continue;
      add(at, std::min(plan.places()[i].at, range.end()));
      at = std::max(at, plan.places()[i].at + plan.places()[i].length);
    }
    add(at, range.end());
  }
  return out;
}

// Do a few pieces of the disk hold chunks that the image wants anywhere?
Result<bool> sample_holds_chunks(const Plan& plan, const disk::Target& target, Size image) {
  Scan scan(plan, target, {});
  const std::vector<bool> none(plan.places().size());
  for (const auto& range : unmatched(plan, none, where_things_are(plan, target), {image.bytes}))
    scan.add_range(range.at, range.end());
  scan.sample();
  STAMPEDE_CHECK(scan.run({}));
  return scan.data() > Size{} && scan.found() * kSampled >= scan.data() * kWorthwhile;
}

Result<bool> is_worthwhile(const Plan& plan, disk::Target& target, const SurveyInput& input) {
  if (input.delta != Delta::automatic) return input.delta == Delta::always;
  if (input.interrupted && !input.journal) return true;
  STAMPEDE_TRY(const bool matches, sample_matches(plan, target));
  return matches || input.interrupted ? matches : sample_holds_chunks(plan, target, input.image);
}

std::size_t count_lost(const Plan& plan, const disk::Target& target, const Bitmap& journal,
                       const std::vector<bool>& matching) {
  const auto named = places_to_read(plan, target, &journal);
  std::size_t lost = 0;
  for (std::size_t i = 0; i < named.size(); ++i)
    if (named[i] && !matching[i]) ++lost;
  return lost;
}

}  // namespace

Result<Survey> survey(Plan& plan, disk::Target& target, const SurveyInput& input) {
  Survey out;
  STAMPEDE_TRY(const bool worthwhile, is_worthwhile(plan, target, input));
  const bool by_journal = input.journal && input.delta != Delta::never;
  if (!worthwhile && !by_journal) return out;
  const auto asked = places_to_read(plan, target, worthwhile ? nullptr : &*input.journal);
  STAMPEDE_TRY(const auto matching, in_place(plan, target, asked, input.progress));
  for (std::size_t i = 0; i < asked.size(); ++i)
    if (asked[i]) out.read += plan.places()[i].length;
  if (by_journal) out.lost = count_lost(plan, target, *input.journal, matching);
  for (const ChunkIndex chunk : plan.whole(matching)) {
    plan.hold(chunk);
    out.kept += plan.placed_size(chunk);
  }
  if (!worthwhile) return out;

  out.moves = from_repeats(plan, matching);
  Scan scan(plan, target, out.moves);
  for (const auto& range : unmatched(plan, matching, where_things_are(plan, target), {input.image.bytes}))
    scan.add_range(range.at, range.end());
  STAMPEDE_TRY(const auto elsewhere,
               scan.run([&](Size read) { return !input.progress || input.progress(out.read + read); }));
  out.read += scan.read();
  out.moves.insert(out.moves.end(), elsewhere.begin(), elsewhere.end());
  out.moves = safe_order(plan, std::move(out.moves));
  return out;
}

}  // namespace stampede::deploy
