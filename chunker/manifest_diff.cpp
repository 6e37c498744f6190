#include "chunker/manifest_diff.h"

#include <algorithm>

#include "chunker/chunk_table.h"
#include "chunker/manifest_layout.h"

namespace stampede::chunker {

namespace {

// The chunks of a manifest, in disk order.
class Walk {
 public:
  explicit Walk(const Manifest& manifest) : manifest_(manifest) { settle(); }

  bool done() const { return segment_ == manifest_.segments.size(); }
  const Record& record() const { return manifest_.segments[segment_].records[record_]; }
  Offset at() const { return at_; }
  std::uint32_t number() const { return static_cast<std::uint32_t>(segment_ * kSegmentRecords + record_); }
  void step() {
    at_ += record().length;
    ++record_;
    settle();
  }

 private:
  // On to the next chunk, if this is none.
  void settle() {
    for (; !done(); at_ += record().length, ++record_) {
      while (!done() && record_ == manifest_.segments[segment_].records.size()) {
        ++segment_;
        record_ = 0;
      }
      if (done() || is_chunk(record().kind)) return;
    }
  }

  const Manifest& manifest_;
  std::size_t segment_ = 0, record_ = 0;
  Offset at_;
};

// Which chunks there are.
class Known {
  auto id_of() const {
    return [this](std::uint32_t number) -> const ChunkId& {
      return manifest_.segments[number / kSegmentRecords].records[number % kSegmentRecords].chunk;
    };
  }

 public:
  explicit Known(const Manifest& manifest) : manifest_(manifest), table_(count(manifest)) {}
  bool has(const ChunkId& id) const { return table_.find(id, id_of()).has_value(); }
  // Is it the first time?
  bool add(const ChunkId& id, std::uint32_t number) { return table_.insert(id, number, id_of()) == number; }
  void add_all() {
    for (Walk walk(manifest_); !walk.done(); walk.step()) add(walk.record().chunk, walk.number());
  }

 private:
  static std::size_t count(const Manifest& manifest) {
    std::size_t out = 0;
    for (const Segment& segment : manifest.segments) out += segment.records.size();
    return out;
  }
  const Manifest& manifest_;
  ChunkTable table_;
};

PartitionDiff& partition_at(const Manifest& after, std::vector<PartitionDiff>& out, Offset at) {
  for (std::size_t i = 0; i < after.root.partitions.size(); ++i) {
    const Partition& partition = after.root.partitions[i];
    if (partition.offset <= at && at < partition.offset + partition.length) return out[i + 1];
  }
  return out[0];
}

}  // namespace

PartitionDiff ManifestDiff::total() const {
  PartitionDiff out;
  for (const PartitionDiff& one : partitions) {
    out.before += one.before;
    out.after += one.after;
    out.same += one.same;
    out.shared += one.shared;
    out.fresh += one.fresh;
  }
  return out;
}

ManifestDiff diff(const Manifest& before, const Manifest& after) {
  ManifestDiff out;
  out.partitions.resize(after.root.partitions.size() + 1);
  for (std::size_t i = 0; i < after.root.partitions.size(); ++i)
    out.partitions[i + 1].partition = after.root.partitions[i].number;
  Known old_chunks(before), new_chunks(after);
  old_chunks.add_all();
  Walk old_walk(before);
  const auto pass_old = [&] {
    partition_at(after, out.partitions, old_walk.at()).before += old_walk.record().length;
    old_walk.step();
  };
  for (Walk walk(after); !walk.done(); walk.step()) {
    while (!old_walk.done() && old_walk.at() < walk.at()) pass_old();
    const Record& record = walk.record();
    PartitionDiff& part = partition_at(after, out.partitions, walk.at());
    part.after += record.length;
    const bool first = new_chunks.add(record.chunk, walk.number());
    const bool in_place = !old_walk.done() && old_walk.at() == walk.at() && old_walk.record().chunk == record.chunk;
    (in_place ? part.same : !first || old_chunks.has(record.chunk) ? part.shared : part.fresh) += record.length;
  }
  while (!old_walk.done()) pass_old();
  Known seen(before);
  for (Walk walk(before); !walk.done(); walk.step())
    if (!new_chunks.has(walk.record().chunk) && seen.add(walk.record().chunk, walk.number()))
      out.gone += walk.record().length;
  return out;
}

}  // namespace stampede::chunker
