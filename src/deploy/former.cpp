#include "src/deploy/former.h"

#include <algorithm>
#include <utility>

namespace stampede::deploy {

namespace {

std::size_t count_data(const chunker::Manifest& manifest) {
  std::size_t count = 0;
  for (const auto& segment : manifest.segments)
    count += static_cast<std::size_t>(std::ranges::count_if(segment.records, is_data, &chunker::Record::kind));
  return count;
}

}  // namespace

Former::Former(const Plan& plan, chunker::Manifest manifest) : same_(plan.places().size()) {
  const std::size_t all = count_data(manifest), sampled = std::min(all, kFormerSampled);
  std::size_t passed = 0;
  for (auto& segment : manifest.segments) {
    Offset at = segment.offset;
    for (const chunker::Record& record : segment.records) {
      if (is_data(record.kind) && sample_.size() < sampled && passed++ == sample_.size() * all / sampled)
        sample_.push_back({at, record.length, record.chunk});
      add(plan, at, record);
      at += record.length;
    }
    segment = {};
  }
}

void Former::add(const Plan& plan, Offset at, const chunker::Record& record) {
  if (record.kind == chunker::RecordKind::unspecified) return;
  if (!told_.empty() && told_.back().end() == at)
    told_.back().length += record.length;
  else
    told_.push_back({at, record.length});
  const auto chunk = is_data(record.kind) ? plan.find(record.chunk) : std::nullopt;
  if (!chunk) return;
  chunks_.push_back({*chunk, at});
  const auto place = std::ranges::lower_bound(plan.places(), at, {}, &Place::at);
  if (place != plan.places().end() && place->at == at && place->chunk == *chunk)
    same_[static_cast<std::size_t>(place - plan.places().begin())] = true;
}

std::vector<std::uint32_t> Former::other_places(const Plan& plan) const {
  std::vector<bool> has(plan.chunks());
  for (const Move& move : chunks_) has[plan.number(move.chunk)] = true;
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < plan.places().size(); ++i)
    if (!has[plan.number(plan.places()[i].chunk)]) out.push_back(i);
  return out;
}

Result<bool> Former::is_there(disk::Target& target) const {
  const auto right = target.compare(sample_, {});
  if (!right && right.error().code == Code::interrupted) return pass(right.error());
  if (!right) return false;
  return static_cast<std::size_t>(std::ranges::count(*right, true)) * kFormerSampled >= kFormerRight * sample_.size();
}

void Former::add_moves(const Plan& plan, const disk::Target& target, const std::vector<bool>& wrong,
                       std::vector<Move>& moves) && {
  std::vector<bool> brought(plan.chunks());
  std::vector<Range> seen;
  for (const Move& move : moves) {
    brought[plan.number(move.chunk)] = true;
    seen.push_back({move.from, Size{plan.chunk(move.chunk).length}});
  }
  seen = merged(std::move(seen));
  const auto is_something_else = [&](const Move& move, Size length) {
    const auto next = std::ranges::upper_bound(seen, move.from, {}, &Range::end);
    if (next != seen.end() && next->at < move.from + length) return true;
    const auto place = std::ranges::lower_bound(plan.places(), move.from, {}, &Place::at);
    return place != plan.places().end() && place->at == move.from && place->chunk == move.chunk &&
           wrong[static_cast<std::size_t>(place - plan.places().begin())];
  };
  for (const Move& move : std::exchange(chunks_, {})) {
    const Size length{plan.chunk(move.chunk).length};
    if (plan.holds(move.chunk) || brought[plan.number(move.chunk)]) continue;
    if (target.holds_back(move.from, length) || is_something_else(move, length)) continue;
    brought[plan.number(move.chunk)] = true;
    moves.push_back(move);
  }
}

}  // namespace stampede::deploy
