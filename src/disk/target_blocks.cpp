#include "src/disk/target_blocks.h"

namespace stampede::disk {

Result<> TargetBlocks::read(Offset offset, MutableBytes out) {
  STAMPEDE_CHECK(ahead_.read(offset, out));
  if (held_) region_.read(offset, out);
  return {};
}

Result<> TargetBlocks::write(Offset offset, ByteView bytes) {
  if (!held_) return fail(Code::internal, "an edit of {} outside a deployment", disk_.path());
  const Range range{offset, {bytes.size()}};
  if (range.end().bytes > size().bytes)
    return fail(Code::internal, "an edit of {} ends at byte {}, beyond its end", disk_.path(), range.end().bytes);
  for (const auto& part : region_.split(range)) {
    const ByteView piece = bytes.subspan((part.range.at - offset).bytes, part.range.length.bytes);
    if (part.inside)
      region_.write(part.range.at, piece);
    else
      STAMPEDE_CHECK(ahead_.write(part.range.at, piece));
    written_ += piece.size();
  }
  for (Offset at{round_down(offset.bytes, chunker::kBlock.bytes)}; at < range.end() && edited_.size() < kMostEdited;
       at += chunker::kBlock)
    edited_.insert(at);
  return {};
}

}  // namespace stampede::disk
