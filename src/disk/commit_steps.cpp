#include "src/disk/commit_steps.h"

#include <algorithm>
#include <array>

namespace stampede::disk {

namespace {

bool has_room(const StepsInput& input) { return input.disk.bytes >= kInProgressAt.bytes + kInProgressSize; }

Patch zeros(Offset from, Offset to, Size disk) {
  const std::uint64_t end = std::min(to.bytes, disk.bytes);
  return {from, Bytes(end > from.bytes ? end - from.bytes : 0)};
}

Patch mark_of(const StepsInput& input) {
  Patch patch = zeros({}, {input.sector}, input.disk);
  if (has_room(input)) std::ranges::copy(encode_mark(input.record), patch.bytes.begin());
  return patch;
}

// Nothing to write (a small disk has no place for some of it), or zeros where zeros are.
bool is_needless(const Patch& patch, const CommitRegion& saved) {
  return all_zero(patch.bytes) &&
         std::ranges::all_of(saved.slice(patch.at, patch.end()), [](const Patch& there) { return all_zero(there.bytes); });
}

// A GPT's backup header lies in the last whole sector, whatever size of sector it was written for.
std::vector<Patch> backup_headers(const StepsInput& input, const CommitRegion& saved) {
  std::vector<Patch> patches;
  for (const std::uint64_t sector : {std::uint64_t{512}, std::uint64_t{4096}}) {
    if (input.disk.bytes < sector) continue;
    const Offset at{round_down(input.disk.bytes, sector) - sector};
    std::array<std::byte, 8> signature{};
    saved.read(at, signature);
    if (as_text(signature) == "EFI PART") patches.push_back(zeros(at, at + 512_B, input.disk));
  }
  return patches;
}

}  // namespace

std::vector<Step> begin_steps(const StepsInput& input, const CommitRegion& saved) {
  const Offset sector{input.sector};
  Step mark{"mark", backup_headers(input, saved)};
  mark.patches.push_back(mark_of(input));
  Step blank{"blank", {}};
  for (const Range& range : saved.ranges())
    blank.patches.push_back(zeros(std::max(range.at, sector), range.end(), input.disk));
  std::vector<Step> steps{
      std::move(mark), {"primary header", {zeros(sector, {sector.bytes * 2}, input.disk)}}, std::move(blank)};
  for (Step& step : steps) std::erase_if(step.patches, [&](const Patch& patch) { return is_needless(patch, saved); });
  std::erase_if(steps, [](const Step& step) { return step.patches.empty(); });
  return steps;
}

std::vector<Step> commit_steps(const StepsInput& input, const CommitRegion& content) {
  const Offset sector{input.sector};
  const Offset second{sector.bytes * 2};
  const std::uint64_t whole = round_down(input.disk.bytes, input.sector);
  // Not before the primary header's end, so that on a small disk the steps do not overlap.
  const Offset last = std::max(second, Offset{whole - std::min<std::uint64_t>(whole, input.sector)});
  Step headers{"headers", content.slice(sector, second)};
  std::ranges::move(content.slice(last, {input.disk.bytes}), std::back_inserter(headers.patches));
  return {{"rest", content.slice(second, last)}, std::move(headers), {"boot sector", content.slice({}, sector)}};
}

}  // namespace stampede::disk
