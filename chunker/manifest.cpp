#include "chunker/manifest.h"

#include <algorithm>
#include <span>

#include "chunker/manifest_layout.h"

namespace stampede::chunker {

std::uint32_t Root::span_count() const {
  std::uint32_t count = 0;  // at most 4096 in each of the 262144 segments that fit into a root record
  for (const SegmentRef& segment : segments) count += segment.spans;
  return count;
}

Size Span::plain_size() const {
  Size size;
  for (const SpanChunk& chunk : chunks) size += Size{chunk.length};
  return size;
}

std::vector<std::uint32_t> span_starts(const Segment& segment) {
  std::vector<std::uint32_t> starts;
  walk_spans(segment.records, [&](std::size_t record) { starts.push_back(static_cast<std::uint32_t>(record)); });
  return starts;
}

std::vector<Span> spans_of(const Segment& segment) {
  const std::vector<std::uint32_t> starts = span_starts(segment);
  std::vector<Span> spans;
  spans.reserve(starts.size());
  Offset offset = segment.offset;
  for (std::size_t i = 0; i < segment.records.size(); ++i) {
    const Record& record = segment.records[i];
    if (record.kind == RecordKind::data) {
      if (spans.size() < starts.size() && starts[spans.size()] == i) {
        const auto end = spans.size() + 1 < starts.size() ? starts[spans.size() + 1] : segment.records.size();
        const std::span own = std::span(segment.records).subspan(i, end - i);
        spans.emplace_back().chunks.reserve(
            static_cast<std::size_t>(std::ranges::count(own, RecordKind::data, &Record::kind)));
      }
      spans.back().chunks.push_back({record.chunk, static_cast<std::uint32_t>(record.length.bytes), offset});
    }
    offset += record.length;
  }
  return spans;
}

std::vector<Span> Manifest::spans() const {
  std::vector<Span> all;
  all.reserve(root.span_count());
  for (const Segment& segment : segments)
    for (Span& span : spans_of(segment)) all.push_back(std::move(span));
  return all;
}

namespace {

ExtentKind extent_kind(RecordKind kind) {
  if (is_chunk(kind)) return ExtentKind::data;
  return kind == RecordKind::zero ? ExtentKind::zero : ExtentKind::unspecified;
}

}  // namespace

std::vector<Extent> Manifest::extents() const {
  std::vector<Extent> all;
  Offset offset;
  for (const Segment& segment : segments) {
    for (const Record& record : segment.records) {
      const ExtentKind kind = extent_kind(record.kind);
      if (!all.empty() && all.back().kind == kind)
        all.back().length += record.length;
      else
        all.push_back({offset, record.length, kind});
      offset += record.length;
    }
  }
  return all;
}

Offset end_of(const Segment& segment) {
  Offset end = segment.offset;
  for (const Record& record : segment.records) end += record.length;
  return end;
}

SegmentRef describe(const Segment& segment) {
  SegmentRef ref;
  ref.offset = segment.offset;
  ref.records = static_cast<std::uint32_t>(segment.records.size());
  ref.plain_size = static_cast<std::uint32_t>(kSegmentHead + kRecordEntry * segment.records.size());
  for (const Record& record : segment.records) ref.data_records += record.kind == RecordKind::data ? 1 : 0;
  walk_spans(segment.records, [&](std::size_t) { ++ref.spans; });
  return ref;
}

}  // namespace stampede::chunker
