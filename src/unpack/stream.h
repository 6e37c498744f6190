// Bytes that come one after the other, from a file or a pipe or from memory, packed or not. libarchive's home.
//
// Bounded: it unpacks into the caller's buffer, and what the packing itself wants is limited by the libraries: the window of
// a zstd frame to 128 MiB, the dictionary of xz to 1 GiB (libarchive); beyond that it is an error.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/file.h"

namespace stampede::unpack {

enum class Packing : std::uint8_t { none, gzip, xz, zstd };

// One thread.
class Stream {
 public:
  virtual ~Stream() = default;
  // The next bytes, fewer than asked only at the end; 0 then. Errors: usage, where what is packed is damaged, ends too
  // early, wants too much memory, or is followed by what is not packed; read_failed; interrupted.
  virtual Result<std::size_t> read(MutableBytes out) = 0;
  // How much was read of the file.
  virtual Size consumed() const = 0;
};

// Is libarchive there? What unpacks asks by itself; for who must know before it begins. Error: usage.
Result<> usable();

// Of an open file from where it stands, which may be a pipe; it outlives the stream. All that is in it: several gzip members
// or zstd frames, one after the other, are one stream. `interrupted` is asked while a pipe has nothing, and before reads.
Result<std::unique_ptr<Stream>> open_stream(const File& file, Packing packing, std::function<bool()> interrupted = {});

// As many bytes as there are place for. Errors: as of read(); usage where the stream ends before.
Result<> read_all(Stream& stream, MutableBytes out);

// What is in memory and packed somehow (gzip, bzip2, xz, zstd, lz4, lzop, lzma) is handed to `take` in parts, until it says
// false. Each part but the first begins with the last `overlap` bytes of the one before (all of it, where it is shorter).
// Errors: read_failed; usage, as usable().
Result<> unpack_any(ByteView packed, const std::function<bool(ByteView part)>& take, std::size_t overlap = 0);

}  // namespace stampede::unpack
