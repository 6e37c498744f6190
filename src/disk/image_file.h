// A file of a format of its own, as virtual machine monitors have them: qcow2. Always a new one, which has no name until it
// is complete and durable: an interrupted deployment, a killed one too, leaves none, and an older file of that name stays as
// it was. Its content is read and written through qemu-nbd, which allocates what is written and nothing else.
#pragma once

#include <filesystem>
#include <memory>

#include "src/base/file.h"
#include "src/disk/nbd.h"
#include "src/disk/reader.h"

namespace stampede::disk {

// Is it one by its name: does it end in .qcow2? Content is never asked, since a guest can write what it likes there.
bool is_image_file(const std::filesystem::path& path);

class ImageFile {
 public:
  // `size` of its content, a multiple of 512. `replace`: an existing file of that name goes when this one is published.
  // Errors: no_space, read_only, usage: no folder, no qemu-img or qemu-nbd.
  static Result<std::unique_ptr<ImageFile>> create(const std::filesystem::path& path, Size size, bool replace);
  ~ImageFile();
  ImageFile(const ImageFile&) = delete;
  ImageFile& operator=(const ImageFile&) = delete;

  bool direct() const { return direct_; }  // it goes past the page cache
  // For single operations, and for an engine.
  NbdConnection& content() { return *content_; }
  NbdConnection& engine() { return *engine_; }
  // Once. May outlive this, and reads nothing then.
  std::unique_ptr<Reader> reader();

  // All that was written and flushed is durable under its name when it returns, and nobody uses the file any more. Errors:
  // usage where there is a file of that name by now; write_failed, flush_failed.
  Result<> publish();

 private:
  ImageFile(std::filesystem::path path, bool replace) : path_(std::move(path)), replace_(replace) {}
  Result<> make();
  Result<> format(Size size) const;
  Result<> serve();
  Result<> give_name();

  const std::filesystem::path path_;
  const bool replace_;
  std::filesystem::path temporary_;  // the name that it has until then, where the file system knows none without
  bool direct_ = true;
  File file_;
  std::unique_ptr<NbdConnection> content_, engine_, reader_;
  std::unique_ptr<NbdServer> server_;  // ended first
};

}  // namespace stampede::disk
