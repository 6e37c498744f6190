#include "src/deploy/held_spans.h"

#include "chunker/seal.h"
#include "src/base/aligned.h"

namespace stampede::deploy {

namespace {

// Reads spans back from the disk. Used by one thread.
class DiskSpans {
 public:
  DiskSpans(const Plan& plan, const disk::Reader& disk) : plan_(plan), disk_(disk), plain_(chunker::kMaxChunk.bytes) {}

  // Nothing where the disk does not hold it.
  std::shared_ptr<const chunker::SealedSpan> read(chunker::SpanIndex index) {
    auto span = std::make_shared<chunker::SealedSpan>();
    span->index = index;
    Bytes sealed;
    for (const chunker::SpanChunk& chunk : plan_.spans()[index.value].chunks) {
      const auto found = read(chunk);
      if (!found) return nullptr;
      span->parts.push_back({found->codec, static_cast<std::uint32_t>(found->bytes.size())});
      sealed.insert(sealed.end(), found->bytes.begin(), found->bytes.end());
    }
    span->bytes = Buffer(ByteView(sealed));
    return span;
  }

 private:
  std::optional<chunker::SealedChunk> read(const chunker::SpanChunk& chunk) {
    // The last chunk of a FAT's file and of the disk may end within a block.
    const MutableBytes out = plain_.bytes().first(round_up(chunk.length, chunker::kBlock.bytes));
    const auto got = disk_.read_some_at(chunk.offset, out);
    if (!got || *got < chunk.length) return std::nullopt;
    const auto verified = digester_.name(out.first(chunk.length));
    if (verified.id() != chunk.id) return std::nullopt;
    return sealer_.seal(verified);
  }

  const Plan& plan_;
  const disk::Reader& disk_;
  AlignedMemory plain_;
  chunker::Digester digester_;
  chunker::Sealer sealer_{chunker::kQuickLevel};
};

}  // namespace

HeldSpans::HeldSpans(const Plan& plan, Size memory, std::unique_ptr<disk::Reader> disk)
    : plan_(plan),
      cache_(static_cast<std::uint32_t>(plan.spans().size()), memory),
      disk_(std::move(disk)),
      thread_([this] { answer(); }) {}

void HeldSpans::fetch(chunker::SpanIndex index, Give give) { questions_.push({index, std::move(give)}); }

void HeldSpans::stop() {
  questions_.stop();
  if (thread_.joinable()) thread_.join();
}

void HeldSpans::answer() {
  std::optional<DiskSpans> disk;  // with zstd's context: not before it is needed
  while (const auto question = questions_.pop()) {
    if (!disk) disk.emplace(plan_, *disk_);
    question->give(disk->read(question->index));
  }
}

}  // namespace stampede::deploy
