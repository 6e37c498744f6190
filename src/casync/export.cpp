#include "src/casync/export.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <unordered_set>

#include "chunker/parallel.h"
#include "chunker/seal.h"
#include "src/base/file.h"
#include "src/base/seams.h"
#include "src/casync/image_index.h"

namespace stampede::casync {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBatch = 4096;
constexpr unsigned kMode = 0666;  // as everybody's files: for a web server to read

std::unexpected<Error> interrupted() { return fail(Code::interrupted, "interrupted by a signal"); }

// Another name in the same folder, until the file is whole.
fs::path unfinished(const fs::path& path) {
  return path.parent_path() / fmt::format(".tmp-{}.{:016x}", path.extension().string().substr(1), system_random().number());
}

// All that was written into the folder is on the disk: one wait, and not one for each file.
Result<> sync_all(const fs::path& folder) {
  STAMPEDE_TRY(const File open, File::open(folder, O_RDONLY | O_DIRECTORY));
  if (::syncfs(open.fd()) != 0) return fail(Code::flush_failed, "cannot flush {}: {}", folder.string(), errno_text(errno));
  return {};
}

// Of one thread.
class ChunkWriter {
 public:
  ChunkWriter(chunker::ChunkSource& source, const fs::path& store) : source_(source), store_(store) {}

  // The size of the file, or nothing where there is one.
  Result<std::optional<Size>> write(const Cut& cut) {
    const fs::path path = store_ / store_path(cut.id.digest);
    std::error_code error;
    if (fs::exists(path, error)) return std::nullopt;
    STAMPEDE_TRY(const Bytes frame, frame_of(cut));
    fs::create_directory(path.parent_path(), error);
    if (error) return fail(Code::write_failed, "cannot make {}: {}", path.parent_path().string(), error.message());
    STAMPEDE_CHECK(publish(path, frame));
    return Size{frame.size()};
  }

 private:
  Result<Bytes> frame_of(const Cut& cut) {
    if (cut.zero) return chunker::zero_frame(cut.length);
    STAMPEDE_TRY(chunker::SealedChunk sealed, source_.get(cut.id));
    plain_.resize(cut.length.bytes);
    if (sealed.plain_size != plain_.size())
      return fail(Code::content_altered, "chunk {} has {} bytes, not {}", to_string(cut.id), sealed.plain_size,
                  plain_.size());
    STAMPEDE_CHECK(opener_.open({cut.id, sealed.codec, sealed.plain_size, sealed.bytes}, plain_));
    if (sealed.codec == chunker::Codec::raw) return chunker::raw_frame(sealed.bytes);
    return std::move(sealed.bytes);
  }

  static Result<> publish(const fs::path& path, ByteView bytes) {
    const fs::path temporary = unfinished(path);
    STAMPEDE_TRY(const File file, File::open(temporary, O_WRONLY | O_CREAT | O_EXCL, kMode));
    auto written = file.write_at({}, bytes);
    if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
      written = fail(Code::write_failed, "cannot make {}: {}", path.string(), errno_text(errno));
    if (!written) ::unlink(temporary.c_str());
    return written;
  }

  chunker::ChunkSource& source_;
  const fs::path& store_;
  chunker::Opener opener_;
  Bytes plain_;
};

class Exporter {
 public:
  Exporter(chunker::ChunkSource& source, const fs::path& store, const chunker::ExportOptions& options)
      : source_(source), store_(store), options_(options) {}

  // Chunks into the store, and the index into `file`.
  Result<Exported> run(ImageCuts cuts, const File& file) {
    ByteWriter head;
    encode_head(head, {});
    STAMPEDE_CHECK(append(file, head.take()));
    disk_ = cuts.root().disk_size;
    while (true) {
      STAMPEDE_CHECK(fill(cuts));
      if (batch_.empty()) break;
      STAMPEDE_CHECK(write_chunks());
      STAMPEDE_CHECK(write_items(file));
    }
    ByteWriter tail;
    encode_tail(tail, chunks_);
    STAMPEDE_CHECK(append(file, tail.take()));
    return Exported{chunks_, new_chunks_, {new_bytes_}};
  }

 private:
  Result<> fill(ImageCuts& cuts) {
    batch_.clear();
    once_.clear();
    std::unordered_set<chunker::ChunkId> seen;
    while (batch_.size() < kBatch) {
      STAMPEDE_TRY(const auto cut, cuts.next());
      if (!cut) break;
      if (seen.insert(cut->id).second) once_.push_back(*cut);
      batch_.push_back(*cut);
    }
    chunks_ += batch_.size();
    if (chunks_ > kMaxChunks) return fail(Code::usage, "more than the {} chunks of a casync index", kMaxChunks);
    return {};
  }

  Result<> write_chunks() {
    const auto job = [&]() -> chunker::Job {
      return [&, writer = std::make_unique<ChunkWriter>(source_, store_)](std::size_t i) -> Result<> {
        if (options_.interrupted && options_.interrupted()) return interrupted();
        STAMPEDE_TRY(const auto size, writer->write(once_[i]));
        reached_ = once_[i].offset.bytes;
        if (size) {
          ++new_chunks_;
          new_bytes_ += size->bytes;
        }
        return {};
      };
    };
    return chunker::run_parallel(options_.threads, once_.size(), job, [&] {
      if (options_.progress) options_.progress({reached_}, disk_);
    });
  }

  Result<> write_items(const File& file) {
    ByteWriter items(batch_.size() * kItemSize);
    for (const Cut& cut : batch_) encode_item(items, cut.offset + cut.length, cut.id.digest);
    return append(file, items.take());
  }

  Result<> append(const File& file, const Bytes& bytes) {
    STAMPEDE_CHECK(file.write_at(end_, bytes));
    end_ += Size{bytes.size()};
    return {};
  }

  chunker::ChunkSource& source_;
  const fs::path& store_;
  const chunker::ExportOptions& options_;
  Size disk_;
  std::vector<Cut> batch_;
  std::vector<Cut> once_;  // of the batch, without what it has twice: two threads would both write and count it
  std::uint64_t chunks_ = 0;
  Offset end_;  // of the index, so far
  std::atomic<std::uint64_t> reached_ = 0, new_chunks_ = 0, new_bytes_ = 0;
};

}  // namespace

Result<Exported> export_index(chunker::ChunkSource& source, const chunker::ImageId& image, const fs::path& index,
                              const fs::path& store, const chunker::ExportOptions& options) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(index, error))) return fail(Code::usage, "{} exists; name a new file", index.string());
  if (index.extension() != ".caibx") return fail(Code::usage, "{}: name an index that ends in .caibx", index.string());
  fs::create_directories(store, error);
  if (error) return fail(Code::usage, "cannot make the store {}: {}", store.string(), error.message());
  STAMPEDE_TRY(auto cuts, ImageCuts::open(source, image));
  const fs::path temporary = unfinished(index);
  STAMPEDE_TRY(const File file, File::open(temporary, O_WRONLY | O_CREAT | O_EXCL, kMode));
  auto exported = Exporter(source, store, options).run(std::move(cuts), file);
  auto done = exported ? Result<>() : Result<>(pass(exported.error()));
  if (done) done = sync_all(store);
  if (done) done = file.sync();
  if (done) done = rename_to_new(temporary, index);
  if (!done) {
    ::unlink(temporary.c_str());
    return pass(std::move(done).error(), fmt::format("exporting to {}", index.string()));
  }
  return exported;
}

}  // namespace stampede::casync
