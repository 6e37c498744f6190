#include "src/disk/commit_steps.h"

#include <algorithm>
#include <array>

namespace stampede::disk {

namespace {

constexpr Offset kRecordEnd = kInProgressAt + Size{kInProgressSize};

bool has_room(const StepsInput& input) { return input.disk.bytes >= kRecordEnd.bytes; }

Patch zeros(Offset from, Offset to, Size disk) {
  const std::uint64_t end = std::min(to.bytes, disk.bytes);
  return {from, Bytes(end > from.bytes ? end - from.bytes : 0)};
}

Step mark_step(const StepsInput& input) {
  Patch patch = zeros({}, {input.sector}, input.disk);
  if (has_room(input)) std::ranges::copy(encode_mark(input.record), patch.bytes.begin());
  return {"mark", {std::move(patch)}};
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
  std::vector<Step> steps;
  steps.push_back({"backup header", backup_headers(input, saved)});
  steps.push_back(mark_step(input));
  steps.push_back({"primary header", {zeros(sector, {sector.bytes * 2}, input.disk)}});
  if (has_room(input)) steps.push_back({"record", {{kInProgressAt, encode(input.record)}}});
  Step blank{"blank", {}};
  for (const Range& range : saved.ranges()) {
    if (range.at.bytes > 0 || !has_room(input)) {
      blank.patches.push_back(zeros(std::max(range.at, sector), range.end(), input.disk));
      continue;
    }
    blank.patches.push_back(zeros(sector, kInProgressAt, input.disk));
    blank.patches.push_back(zeros(kRecordEnd, range.end(), input.disk));
  }
  steps.push_back(std::move(blank));
  steps.push_back({"unmark", {zeros({}, sector, input.disk)}});
  // A small disk has no place for some of it.
  for (Step& step : steps) std::erase_if(step.patches, [](const Patch& patch) { return patch.bytes.empty(); });
  return steps;
}

std::vector<Step> commit_steps(const StepsInput& input, const CommitRegion& content) {
  const Offset sector{input.sector};
  const Offset second{sector.bytes * 2};
  const Offset end{input.disk.bytes};
  const std::uint64_t whole = round_down(input.disk.bytes, input.sector);
  const Offset last{whole - std::min<std::uint64_t>(whole, input.sector)};
  // Clamped, so that on a small disk the steps do not overlap.
  const Offset front = std::min(kRecordEnd, std::max(second, last));
  std::vector<Step> steps;
  steps.push_back({"rest", content.slice(front, std::max(front, last))});
  if (has_room(input)) steps.push_back(mark_step(input));
  steps.push_back({"entries", content.slice(second, front)});
  steps.push_back({"backup header", content.slice(std::max(second, last), end)});
  steps.push_back({"primary header", content.slice(sector, second)});
  steps.push_back({"boot sector", content.slice({}, sector)});
  return steps;
}

}  // namespace stampede::disk
