// Reads a raw image from its start to its end and fills batches with zeros and cut chunks. One thread.
#pragma once

#include "chunker/import_line.h"
#include "src/base/file.h"

namespace stampede::chunker {

class ImportReader {
 public:
  ImportReader(const File& file, Size size, ImportLine& line) : file_(file), size_(size), line_(line) {}

  // Ends early, with success, when the line is stopped. Errors: read_failed, also where the file changes its size.
  Result<> run();

 private:
  // The file's next range that is not a hole, in whole blocks; empty at the end.
  struct Stored {
    Offset begin, end;
  };
  Result<Stored> next_stored(Offset from) const;
  Result<bool> read(Stored range);
  void take_in(std::size_t size);
  void add_zeros(Size length);
  // Cuts the run until no more than `left` of it are uncut.
  void cut_run(Size left);
  bool next_batch();

  const File& file_;
  const Size size_;
  ImportLine& line_;
  std::unique_ptr<ImportBatch> batch_;
  // The buffer holds chunks until cut_, blocks that are not zero until filled_, nothing after. The run that is still to be
  // cut, [cut_, filled_), is shorter than kMaxChunk when a batch is handed on, and moves to the next.
  std::size_t cut_ = 0;
  std::size_t filled_ = 0;
};

}  // namespace stampede::chunker
