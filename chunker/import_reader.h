// Reads an image that is packaged: what of it is in memory from there, the rest past the page cache. Filling that costs more
// processor time than naming the bytes does, and what was in it before is of more use than an image read once.
//
// Thread-safe.
#pragma once

#include "src/base/bytes.h"
#include "src/base/file.h"

namespace stampede::chunker {

class ImportReader {
 public:
  // `file`, a regular file or a block device of that size, outlives it.
  ImportReader(const File& file, Size size);
  ~ImportReader();
  ImportReader(const ImportReader&) = delete;
  ImportReader& operator=(const ImportReader&) = delete;

  // What is not in memory by the page cache where `at` and `out` are not aligned to blocks. Errors: read_failed.
  Result<> read(Offset at, MutableBytes out) const;

 private:
  bool is_in_memory(Offset at, std::size_t length) const;

  const File& file_;
  File direct_;                  // the same with O_DIRECT, where its file system can do that
  std::byte* mapped_ = nullptr;  // for asking what is in memory; not read through
  std::size_t size_ = 0;
};

}  // namespace stampede::chunker
