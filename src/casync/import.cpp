#include "src/casync/import.h"

#include <fcntl.h>

#include <memory>
#include <optional>
#include <vector>

#include "chunker/parallel.h"
#include "src/casync/chunk_files.h"

namespace stampede::casync {
namespace {

// Its size is looked at before anything is read.
Result<Bytes> read_whole(const std::string& path) {
  STAMPEDE_TRY(const File file, File::open(path, O_RDONLY));
  STAMPEDE_TRY(const Size size, file.size());
  if (size > kMaxIndex)
    return fail(Code::usage, "{} is larger than the {} bytes that an index may have", path, kMaxIndex.bytes);
  Bytes bytes(size.bytes);
  STAMPEDE_CHECK(file.read_at({}, bytes));
  return bytes;
}

Result<Index> read_index(const std::string& location, const std::function<bool()>& interrupted) {
  auto file = is_url(location) ? Remote(interrupted).get(location, kMaxIndex) : read_whole(location);
  if (!file) return pass(std::move(file).error(), "reading a casync index");
  auto index = Index::decode(*std::move(file));
  if (!index) return pass(std::move(index).error(), location);
  return index;
}

std::string beside(const std::string& index) {
  const std::size_t slash = index.rfind('/');
  return (slash == std::string::npos ? std::string() : index.substr(0, slash + 1)) + std::string(kDefaultStore);
}

// Gets chunks a batch at a time and lays them down in their order.
class Unpacker {
 public:
  Unpacker(const Index& index, const std::string& store, const ImportOptions& options)
      : index_(index), store_(store), options_(options) {}

  Result<> run(formats::Spool& spool) {
    STAMPEDE_CHECK(spool.declare(index_.image_size()));
    while (next_ < index_.count()) {
      fill();
      STAMPEDE_CHECK(get());
      for (const Piece& piece : batch_)
        STAMPEDE_CHECK(piece.zeros ? spool.skip(piece.chunk.length)
                                   : spool.write(ByteView(bytes_).subspan(piece.at, piece.chunk.length.bytes)));
    }
    return {};
  }

 private:
  struct Piece {
    Chunk chunk;
    std::size_t at = 0;  // in bytes_
    bool zeros = false;
  };

  void fill() {
    batch_.clear();
    std::size_t size = 0;
    while (next_ < index_.count() && batch_.size() < kMostPieces) {
      const Chunk chunk = index_.chunk(next_);
      const bool zeros = is_zeros(chunk);
      if (!zeros && size > 0 && size + chunk.length.bytes > kBatch.bytes) break;
      batch_.push_back({chunk, size, zeros});
      if (!zeros) size += chunk.length.bytes;
      ++next_;
    }
    if (bytes_.size() < size) bytes_.resize(size);
  }

  // A run of zeros is mostly chunks of the greatest size: nobody has to be asked for them.
  bool is_zeros(const Chunk& chunk) {
    if (chunk.length != index_.head().greatest) return false;
    if (!zeros_) zeros_ = id_of(index_.head().hash(), Bytes(chunk.length.bytes));
    return chunk.id == *zeros_;
  }

  Result<> get() {
    const auto job = [&]() -> chunker::Job {
      return [&, files = std::make_unique<ChunkFiles>(store_, options_.interrupted)](std::size_t i) -> Result<> {
        if (options_.interrupted && options_.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
        const Piece& piece = batch_[i];
        if (piece.zeros) return {};
        return files->read(piece.chunk, index_.head().hash(),
                           MutableBytes(bytes_).subspan(piece.at, piece.chunk.length.bytes));
      };
    };
    return chunker::run_parallel(options_.requests, batch_.size(), job, [&] {
      if (options_.progress) options_.progress(batch_.front().chunk.offset, index_.image_size());
    });
  }

  static constexpr std::size_t kMostPieces = 65536;
  const Index& index_;
  const std::string& store_;
  const ImportOptions& options_;
  std::size_t next_ = 0;  // chunk
  std::vector<Piece> batch_;
  Bytes bytes_;
  std::optional<Id> zeros_;
};

}  // namespace

Result<File> unpack_index(const std::string& index, std::string store, const ImportOptions& options) {
  STAMPEDE_TRY(const Index decoded, read_index(index, options.interrupted));
  if (store.empty()) store = beside(index);
  while (store.ends_with('/')) store.pop_back();
  STAMPEDE_TRY(auto spool, formats::Spool::make(options.folder, index, options.limits));
  STAMPEDE_CHECK(Unpacker(decoded, store, options).run(spool));
  return std::move(spool).finish();
}

}  // namespace stampede::casync
