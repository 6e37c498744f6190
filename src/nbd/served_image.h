// The disk in an image file that somebody else has made: read by a qemu-nbd that is confined (src/volume/confine.h), gets at
// that one file through RawServer, and at no file that it may refer to.
#pragma once

#include <memory>
#include <string_view>

#include "src/nbd/connection.h"
#include "src/nbd/raw_server.h"
#include "src/volume/confine.h"
#include "src/volume/run_tool.h"

namespace stampede::nbd {

// One thread.
class ServedImage {
 public:
  // `driver`: qemu's name of the format, which is never probed. `file` outlives it. Errors: usage, where there is no
  // qemu-nbd, it cannot be confined, or it says no to the file; also because the file was cut short.
  static Result<std::unique_ptr<ServedImage>> serve(const File& file, std::string_view driver, FileEnd end,
                                                    const volume::Confinement& limits);

  Connection& disk() { return *connection_; }
  // Of the file, not of the disk in it.
  Size read_so_far() const { return raw_->read_so_far(); }
  // Whether its tables name what lies behind its end: it was cut short, and what was read of the disk so far counts for
  // nothing.
  bool past_end() const { return raw_->past_end(); }
  // What is known of why it has ended, where it has.
  std::string last_words();
  pid_t pid() const { return program_->pid(); }

 private:
  ServedImage() = default;

  std::unique_ptr<RawServer> raw_;
  std::unique_ptr<volume::RunningTool> program_;
  std::unique_ptr<Connection> connection_;  // ended first
};

}  // namespace stampede::nbd
