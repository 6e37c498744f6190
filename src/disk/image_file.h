// A file of a format of its own, as virtual machine monitors have them: qcow2. Its content is read and written through
// qemu-nbd, which allocates what is written and nothing else.
#pragma once

#include <filesystem>
#include <memory>

#include "src/disk/reader.h"
#include "src/nbd/server.h"

namespace stampede::disk {

// Is it one by its name: does it end in .qcow2? Content is never asked, since a guest can write what it likes there.
bool is_image_file(const std::filesystem::path& path);

class ImageFile {
 public:
  // In an empty file: one with `size` of content, a multiple of 512. Errors: usage, where there is no qemu-img or qemu-nbd,
  // write_failed.
  static Result<std::unique_ptr<ImageFile>> create(const File& file, Size size);

  bool direct() const { return direct_; }  // it goes past the page cache
  // For single operations, and for an engine.
  nbd::Connection& content() { return *content_; }
  nbd::Connection& engine() { return *engine_; }
  // Once. May outlive this, and reads nothing then.
  std::unique_ptr<Reader> reader();

  // What was written and flushed is all in the file, and nobody uses it any more. Error: write_failed.
  Result<> close();

 private:
  ImageFile() = default;

  bool direct_ = true;
  std::unique_ptr<nbd::Connection> content_, engine_, reader_;
  std::unique_ptr<nbd::Server> server_;  // ended first
};

}  // namespace stampede::disk
