#include "src/deploy/survey.h"

#include <algorithm>

#include "src/deploy/scan.h"
#include "src/volume/inspect.h"

namespace stampede::deploy {

namespace {

constexpr Size kSamplePiece = 512_KiB;
// What is between two things that are no further apart is read with them.
constexpr Size kGap = 256_KiB;

// Of `all` places, numbered so.
template <class Place>
Result<bool> sample_matches(const Plan& plan, disk::Target& target, std::size_t all, Place place) {
  const std::size_t count = std::min(kSampled, all);
  std::vector<disk::Expected> sample;
  for (std::size_t i = 0; i < count; ++i) sample.push_back(plan.expected(place(i * all / count)));
  const auto matching = target.compare(sample, {});
  if (!matching && matching.error().code == Code::read_failed) return false;  // nothing of it is needed
  if (!matching) return pass(matching.error());
  return static_cast<std::size_t>(std::ranges::count(*matching, true)) * kSampled >= kWorthwhile * count;
}

// begin() writes there.
void leave_out_held_back(const Plan& plan, const disk::Target& target, std::vector<bool>& places) {
  for (std::size_t i = 0; i < places.size(); ++i)
    if (target.holds_back(plan.places()[i].at, plan.places()[i].length)) places[i] = false;
}

// The places that begin() leaves alone, and of those only the journal's where there is one.
std::vector<bool> places_to_read(const Plan& plan, const disk::Target& target, const Bitmap* journal) {
  std::vector<bool> out = journal != nullptr ? plan.places_of(*journal) : std::vector<bool>(plan.places().size(), true);
  leave_out_held_back(plan, target, out);
  return out;
}

// Collects ranges that come in order, as whole blocks.
void add_range(std::vector<Range>& ranges, Range next, Size disk) {
  const Offset at{round_down(next.at.bytes, chunker::kBlock.bytes)};
  next = {at, Offset{std::min(round_up(next.end().bytes, chunker::kBlock.bytes), disk.bytes)} - at};
  if (ranges.empty() || next.at > ranges.back().end() + kGap) return ranges.push_back(next);
  ranges.back().length = std::max(ranges.back().end(), next.end()) - ranges.back().at;
}

// Where the image's part of the disk may hold something, in order.
std::vector<Range> where_things_are(const volume::DiskUse& use, Size image, Size disk) {
  std::vector<Range> out;
  for (const auto& range : use.used) {
    // Outwards: as an import cuts, which leaves out whole blocks alone.
    const Offset at{round_down(range.at.bytes, chunker::kBlock.bytes)};
    const Offset end{
        std::min(round_up(range.end().bytes, chunker::kBlock.bytes), round_down(image.bytes, chunker::kBlock.bytes))};
    if (at < end) add_range(out, {at, end - at}, disk);
  }
  return out;
}

// The places that the disk's own file systems call free.
std::vector<std::uint32_t> free_places(const Plan& plan, const volume::DiskUse& use) {
  std::vector<std::uint32_t> out;
  auto free = use.free.begin();
  for (std::uint32_t i = 0; i < plan.places().size(); ++i) {
    const Place& place = plan.places()[i];
    while (free != use.free.end() && free->end() <= place.at) ++free;
    if (free == use.free.end()) break;
    if (free->at <= place.at && place.at + place.length <= free->end()) out.push_back(i);
  }
  return out;
}

// They hold nothing of the image, but where that was there before those file systems were: a sample of them tells.
Result<> leave_out_free(const Plan& plan, disk::Target& target, const std::vector<std::uint32_t>& free,
                        std::vector<bool>& places) {
  if (free.empty()) return {};
  STAMPEDE_TRY(const bool matches, sample_matches(plan, target, free.size(), [&](std::size_t i) { return free[i]; }));
  if (matches) return {};
  for (const std::uint32_t place : free) places[place] = false;
  return {};
}

// What has to be read for these places and to find what is in those ranges.
std::vector<Range> join(const Plan& plan, const std::vector<bool>& asked, const std::vector<Range>& ranges, Size disk) {
  std::vector<Range> out;
  auto range = ranges.begin();
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (!asked[i]) continue;
    const Place& place = plan.places()[i];
    for (; range != ranges.end() && range->at < place.at; ++range) add_range(out, *range, disk);
    add_range(out, {place.at, place.length}, disk);
  }
  for (; range != ranges.end(); ++range) add_range(out, *range, disk);
  return out;
}

// A few short ranges, evenly spread over all of them.
std::vector<Range> sample_of(const std::vector<Range>& ranges) {
  Size all, before;
  for (const auto& range : ranges) all += range.length;
  std::vector<Range> out;
  auto range = ranges.begin();
  for (std::size_t i = 0; i < kSampled && all > Size{}; ++i) {
    const Size wanted{round_down(all.bytes / kSampled * i, chunker::kBlock.bytes)};
    for (; wanted >= before + range->length; ++range) before += range->length;
    const Offset at = range->at + (wanted - before);
    if (out.empty() || at >= out.back().end()) out.push_back({at, std::min(kSamplePiece, range->end() - at)});
  }
  return out;
}

// Do a few pieces of the disk hold chunks that the image wants anywhere? Where nobody knows what is in use, as on a disk
// that is blanked, those are looked at where the image will be.
Result<bool> sample_holds_chunks(Plan& plan, disk::Target& target, const std::vector<Range>& used) {
  const std::vector<bool> none(plan.places().size());
  Scan scan(plan, target, none);
  const auto ranges = used.empty() ? join(plan, std::vector<bool>(none.size(), true), {}, target.identity().size) : used;
  STAMPEDE_CHECK(scan.run(sample_of(ranges), true, {}));
  return scan.data() > Size{} && scan.found() * kSampled >= scan.data() * kWorthwhile;
}

Result<bool> is_worthwhile(Plan& plan, disk::Target& target, const SurveyInput& input, const std::vector<Range>& used) {
  if (input.delta != Delta::automatic) return input.delta == Delta::always;
  if (input.interrupted && !input.journal) return true;
  STAMPEDE_TRY(const bool matches, sample_matches(plan, target, plan.places().size(), [](std::size_t i) { return i; }));
  return matches || input.interrupted ? matches : sample_holds_chunks(plan, target, used);
}

std::size_t count_lost(const Plan& plan, const disk::Target& target, const Bitmap& journal,
                       const std::vector<bool>& matching) {
  const auto named = places_to_read(plan, target, &journal);
  std::size_t lost = 0;
  for (std::size_t i = 0; i < named.size(); ++i)
    if (named[i] && !matching[i]) ++lost;
  return lost;
}

void hold_what_stands(Plan& plan, const Scan& scan, Survey& out) {
  out.read += scan.read();
  for (const ChunkIndex chunk : plan.whole(scan.matching())) {
    plan.hold(chunk);
    out.kept += plan.placed_size(chunk);
  }
}

// Most of it is where that image has it; what was written since may be of the new one too, as after an upgrade in place. In
// what is read for its place and is something else now, chunks are looked for as well.
Result<Survey> survey_by_former(Plan& plan, disk::Target& target, const SurveyInput& input, const std::vector<Range>& used,
                                std::span<const Range> off_grid) {
  Survey out;
  out.by_former = true;
  auto since = input.former->written_since(used);
  if (!since.empty()) {
    STAMPEDE_TRY(const bool holds, sample_holds_chunks(plan, target, since));
    if (!holds) since.clear();
  }
  auto asked = input.former->same_places();
  const auto others = input.former->other_places(plan);
  STAMPEDE_TRY(const bool matches, sample_matches(plan, target, others.size(), [&](std::size_t i) { return others[i]; }));
  if (matches)
    for (const std::uint32_t place : others) asked[place] = true;
  leave_out_held_back(plan, target, asked);
  Scan scan(plan, target, asked, off_grid);
  STAMPEDE_CHECK(scan.run(join(plan, asked, since, target.identity().size), true, input.progress));
  hold_what_stands(plan, scan, out);
  out.moves = scan.moves();
  std::vector<bool> wrong = asked;
  for (std::size_t i = 0; i < wrong.size(); ++i) wrong[i] = wrong[i] && !scan.matching()[i];
  std::move(*input.former).add_moves(plan, target, wrong, out.moves);
  out.moves = safe_order(plan, std::move(out.moves));
  return out;
}

}  // namespace

Result<Survey> survey(Plan& plan, disk::Target& target, const SurveyInput& input) {
  Survey out;
  const bool by_journal = input.journal && input.delta != Delta::never;
  if (input.delta == Delta::never) return out;
  std::vector<Range> used;
  std::vector<std::uint32_t> free;
  std::vector<Range> off_grid;
  if (auto use = volume::disk_use(input.base.value_or(target.identity().path))) {
    off_grid = std::move(use->off_grid);
    used = where_things_are(*use, input.image, target.identity().size);
    if (!input.interrupted) free = free_places(plan, *use);
  }
  if (input.former != nullptr && input.delta == Delta::automatic && !input.interrupted) {
    STAMPEDE_TRY(const bool there, input.former->is_there(target));
    if (there) return survey_by_former(plan, target, input, used, off_grid);
  }
  STAMPEDE_TRY(const bool worthwhile, is_worthwhile(plan, target, input, used));
  if (!worthwhile && !by_journal) return out;
  if (!worthwhile) used.clear();
  auto asked = places_to_read(plan, target, worthwhile ? nullptr : &*input.journal);
  STAMPEDE_CHECK(leave_out_free(plan, target, free, asked));
  Scan scan(plan, target, asked, off_grid);
  STAMPEDE_CHECK(scan.run(join(plan, asked, used, target.identity().size), worthwhile, input.progress));
  if (by_journal) out.lost = count_lost(plan, target, *input.journal, scan.matching());
  hold_what_stands(plan, scan, out);
  if (worthwhile) out.moves = safe_order(plan, scan.moves());
  return out;
}

}  // namespace stampede::deploy
