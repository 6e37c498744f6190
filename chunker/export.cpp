#include <fcntl.h>
#include <unistd.h>

#include <atomic>

#include "chunker/manifest_layout.h"
#include "chunker/package.h"
#include "chunker/parallel.h"
#include "chunker/seal.h"
#include "src/base/file.h"
#include "src/base/seams.h"

namespace stampede::chunker {
namespace {

// Neighbouring chunks of one segment, at most kSpan of them: one read from the store, one write to the file.
struct Stretch {
  std::uint32_t segment = 0;
  std::uint32_t first = 0;  // record
  std::uint32_t count = 0;
  Offset offset;
  Size length;
};

std::vector<Stretch> plan(const Manifest& manifest) {
  std::vector<Stretch> stretches;
  for (std::uint32_t s = 0; s < manifest.segments.size(); ++s) {
    const Segment& segment = manifest.segments[s];
    Offset at = segment.offset;
    Stretch* open = nullptr;
    for (std::uint32_t r = 0; r < segment.records.size(); ++r) {
      const Record& record = segment.records[r];
      if (!is_chunk(record.kind)) {
        open = nullptr;
      } else {
        if (open == nullptr || open->length + record.length > kSpan)
          open = &stretches.emplace_back(Stretch{s, r, 0, at, {}});
        ++open->count;
        open->length += record.length;
      }
      at += record.length;
    }
  }
  return stretches;
}

class Writer {
 public:
  Writer(const Manifest& manifest, ChunkSource& source, const File& file)
      : manifest_(manifest), source_(source), file_(file), plain_(kSpan.bytes) {}

  Result<> write(const Stretch& stretch) {
    chunks_.clear();
    const auto records = std::span(manifest_.segments[stretch.segment].records).subspan(stretch.first, stretch.count);
    for (const Record& record : records)
      chunks_.push_back({record.chunk, static_cast<std::uint32_t>(record.length.bytes), {}});
    STAMPEDE_TRY(const SealedSpan sealed, source_.gather(chunks_));
    std::size_t from = 0, to = 0;
    for (std::size_t i = 0; i < chunks_.size(); ++i) {
      const auto [codec, size] = sealed.parts[i];
      const UntrustedChunk chunk{chunks_[i].id, codec, chunks_[i].length, ByteView(sealed.bytes).subspan(from, size)};
      STAMPEDE_CHECK(opener_.open(chunk, MutableBytes(plain_).subspan(to)));
      from += size;
      to += chunks_[i].length;
    }
    return file_.write_at(stretch.offset, ByteView(plain_).first(to));
  }

 private:
  const Manifest& manifest_;
  ChunkSource& source_;
  const File& file_;
  Opener opener_;
  std::vector<SpanChunk> chunks_;
  Bytes plain_;
};

Result<> write_all(const Manifest& manifest, ChunkSource& source, const File& file, const ExportOptions& options) {
  STAMPEDE_CHECK(file.truncate(manifest.root.disk_size));
  const std::vector<Stretch> stretches = plan(manifest);
  std::atomic<std::uint64_t> reached = 0;  // the offset of the stretch begun last: within a few of being done
  const auto job = [&]() -> Job {
    return [&, writer = std::make_unique<Writer>(manifest, source, file)](std::size_t i) -> Result<> {
      if (options.interrupted && options.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
      reached = stretches[i].offset.bytes;
      return writer->write(stretches[i]);
    };
  };
  const auto tick = [&] {
    if (options.progress) options.progress({reached}, manifest.root.disk_size);
  };
  STAMPEDE_CHECK(run_parallel(options.threads, stretches.size(), job, tick));
  STAMPEDE_CHECK(file.sync());
  if (options.interrupted && options.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
  if (options.progress) options.progress({manifest.root.disk_size.bytes}, manifest.root.disk_size);
  return {};
}

}  // namespace

Result<> export_image(const Manifest& manifest, ChunkSource& source, const std::filesystem::path& output,
                      const ExportOptions& options) {
  if (std::error_code ignored; std::filesystem::exists(std::filesystem::symlink_status(output, ignored)))
    return fail(Code::usage, "{} exists; name a new file", output.string());
  // Who sees the name sees the whole image, even if this process dies.
  std::filesystem::path unfinished = output;
  unfinished += fmt::format(".{:016x}.part", system_random().number());
  auto file = File::open(unfinished, O_RDWR | O_CREAT | O_EXCL);
  if (!file) return pass(file.error(), fmt::format("exporting to {}", output.string()));
  auto written = write_all(manifest, source, *file, options);
  if (written) written = rename_to_new(unfinished, output);
  if (!written) {
    ::unlink(unfinished.c_str());
    return pass(written.error(), fmt::format("exporting to {}", output.string()));
  }
  return {};
}

}  // namespace stampede::chunker
