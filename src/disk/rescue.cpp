#include "src/disk/rescue.h"

#include <algorithm>

#include "chunker/digest.h"
#include "src/base/text.h"
#include "src/disk/table_ranges.h"

namespace stampede::disk {

namespace {

constexpr std::string_view kMagic = "STMPRESC";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kDigest = 32;
constexpr std::size_t kBlock = 4096;
constexpr Size kEdge = 1_MiB;

constexpr std::array<std::string Disk::*, 5> kTexts{&Disk::path, &Disk::model, &Disk::serial, &Disk::wwn, &Disk::guid};

struct Run {
  Offset at;
  ByteView bytes;
  bool zero = false;
};

// The patches cut where they go over between zeros and others.
std::vector<Run> runs_of(const std::vector<Patch>& patches) {
  std::vector<Run> runs;
  for (const Patch& patch : patches) {
    const ByteView all = patch.bytes;
    std::size_t from = 0;
    for (std::size_t at = 0; at < all.size(); at += kBlock) {
      const ByteView block = all.subspan(at, std::min(kBlock, all.size() - at));
      const bool zero = all_zero(block);
      if (at > from && runs.back().zero == zero) {
        runs.back().bytes = all.subspan(from, at + block.size() - from);
      } else {
        from = at;
        runs.push_back({patch.at + Size{at}, block, zero});
      }
    }
  }
  return runs;
}

std::string cut(const std::string& text) { return printable(std::string_view(text).substr(0, kMostRescueText)); }

std::unexpected<Error> damaged(std::string_view what) { return fail(Code::usage, "this is no sound rescue file: {}", what); }

// Offsets, lengths and kinds; the bytes come later.
Result<std::vector<Run>> read_runs(ByteReader& in, std::size_t count, Size disk) {
  std::vector<Run> runs;
  Offset end;
  Size covered, held;
  for (std::size_t i = 0; i < count; ++i) {
    const Offset at{in.u64()};
    const Size length{in.u64()};
    const std::uint8_t kind = in.u8();
    if (!in.ok()) return damaged("it ends early");
    if (kind > 1 || length.bytes == 0 || at < end || at.bytes > disk.bytes || length.bytes > disk.bytes - at.bytes)
      return damaged("a run that cannot be");
    if (length > kMostCovered - covered) return damaged("it covers too much");
    covered += length;
    if (kind == 1) held += length;
    end = at + length;
    runs.push_back({at, ByteView(static_cast<const std::byte*>(nullptr), length.bytes), kind == 0});
  }
  if (held.bytes != in.left()) return damaged("its length is another");
  return runs;
}

}  // namespace

Bytes encode(const Rescue& rescue) {
  const std::vector<Run> runs = runs_of(rescue.runs);
  ByteWriter out;
  out.raw(as_bytes(kMagic)).u16(kVersion).u16(0).u32(static_cast<std::uint32_t>(runs.size()));
  out.raw(rescue.deployment).u64(static_cast<std::uint64_t>(rescue.saved));
  out.u64(rescue.disk.size.bytes).u64(rescue.image_size.bytes).u32(rescue.disk.sector_size).u32(0);
  for (const auto text : kTexts) out.text(cut(rescue.disk.*text));
  for (const Run& run : runs) out.u64(run.at.bytes).u64(run.bytes.size()).u8(run.zero ? 0 : 1);
  for (const Run& run : runs)
    if (!run.zero) out.raw(run.bytes);
  return out.raw(chunker::sha256(out.bytes())).take();
}

Result<Rescue> decode_rescue(ByteView bytes) {
  if (bytes.size() < kDigest || bytes.size() > kMostRescue.bytes) return damaged("it is too short or too long");
  const ByteView signed_part = bytes.first(bytes.size() - kDigest);
  ByteReader in(signed_part);
  if (as_text(in.view(kMagic.size())) != kMagic) return damaged("it does not begin like one");
  if (const auto version = in.u16(); version != kVersion)
    return fail(Code::usage, "a rescue file of version {}, and this program knows version {}", version, kVersion);
  if (!std::ranges::equal(chunker::sha256(signed_part), bytes.last(kDigest))) return damaged("its checksum does not hold");
  Rescue rescue;
  const bool zero = in.u16() == 0;
  const std::uint32_t count = in.u32();
  rescue.deployment = in.array<16>();
  rescue.saved = static_cast<UnixTime>(in.u64());
  rescue.disk.size.bytes = in.u64();
  rescue.image_size.bytes = in.u64();
  rescue.disk.sector_size = in.u32();
  const bool sound = zero && in.u32() == 0 && rescue.image_size <= rescue.disk.size && count <= kMostRuns;
  for (const auto text : kTexts) rescue.disk.*text = in.text(kMostRescueText);
  const bool clean =
      std::ranges::all_of(kTexts, [&](auto text) { return printable(rescue.disk.*text) == rescue.disk.*text; });
  if (!in.ok() || !sound || !clean) return damaged("its head cannot be");
  STAMPEDE_TRY(const auto runs, read_runs(in, count, rescue.disk.size));
  for (const Run& run : runs)
    rescue.runs.push_back({run.at, run.zero ? Bytes(run.bytes.size()) : copy(in.view(run.bytes.size()))});
  return rescue;
}

std::vector<Range> rescue_ranges(const File& disk, Size size, std::uint32_t sector, Size image,
                                 const std::vector<Range>& extra) {
  std::vector<Range> wanted = commit_ranges(size, image);
  const std::uint64_t edge = std::min(kEdge.bytes, size.bytes);
  wanted.push_back({{0}, {edge}});
  wanted.push_back({{size.bytes - edge}, {edge}});
  Size covered;
  for (const Range& range : wanted) covered += range.length;
  const auto table = table_ranges(disk, size, sector);
  for (const auto* more : {&table, &extra}) {
    for (const Range& range : *more) {
      if (range.length > kMostCovered - covered) continue;
      covered += range.length;
      wanted.push_back(range);
    }
  }
  return merged(std::move(wanted));
}

Result<> check_same_disk(const Rescue& rescue, const Disk& disk) {
  const auto another = [&](std::string_view what, std::string_view was, std::string_view is) {
    return fail(Code::identity_changed, "the rescue file is of another disk than {}: its {} is '{}', not '{}'", disk.path,
                what, was, is);
  };
  const Disk& was = rescue.disk;
  if (was.size != disk.size) return another("size", fmt::format("{}", was.size.bytes), fmt::format("{}", disk.size.bytes));
  if (was.sector_size != disk.sector_size)
    return another("sector size", fmt::format("{}", was.sector_size), fmt::format("{}", disk.sector_size));
  if (was.serial != cut(disk.serial)) return another("serial number", was.serial, disk.serial);
  if (was.wwn != cut(disk.wwn)) return another("WWN", was.wwn, disk.wwn);
  if (was.model != cut(disk.model)) return another("model", was.model, disk.model);
  const bool nameless = was.serial.empty() && was.wwn.empty();
  if (nameless && was.path != cut(disk.path)) return another("path", was.path, disk.path);
  return {};
}

}  // namespace stampede::disk
