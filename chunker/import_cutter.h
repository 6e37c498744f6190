// Cuts what was fetched, batch by batch in disk order: parts become zeros, what is unspecified, and chunks. One thread.
#pragma once

#include "chunker/import_line.h"

namespace stampede::chunker {

class ImportCutter {
 public:
  void cut(ImportBatch& batch);

 private:
  void take_in(std::size_t size);
  void add_gap(ExtentKind kind, Size length);
  // Cuts the run until no more than `left` of it are uncut.
  void cut_run(Size left);

  ImportBatch* batch_ = nullptr;
  // The batch holds chunks until cut_, blocks that are not zero until filled_. The run that is still to be cut,
  // [cut_, filled_), is shorter than kMaxChunk when a batch is handed on, and goes before the next one's bytes.
  std::size_t cut_ = 0;
  std::size_t filled_ = 0;
  Bytes run_;
};

}  // namespace stampede::chunker
