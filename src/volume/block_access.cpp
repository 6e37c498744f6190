#include "src/volume/block_access.h"

#include <fcntl.h>

#include "src/base/file.h"

namespace stampede::volume {

namespace {

class FileBlocks final : public BlockAccess {
 public:
  FileBlocks(File file, Size size) : file_(std::move(file)), size_(size) {}

  Size size() const override { return size_; }
  Result<> read(Offset offset, MutableBytes out) override { return file_.read_at(offset, out); }
  Result<> write(Offset offset, ByteView bytes) override {
    // A regular file would grow silently where a disk ends.
    if (offset.bytes > size_.bytes || bytes.size() > size_.bytes - offset.bytes)
      return fail(Code::write_failed, "cannot write {} at byte {}: it ends at byte {}", file_.name(), offset.bytes,
                  size_.bytes);
    return file_.write_at(offset, bytes);
  }
  Result<> flush() override { return file_.sync(); }

 private:
  File file_;
  Size size_;
};

}  // namespace

Result<std::unique_ptr<BlockAccess>> open_blocks(const std::filesystem::path& path, bool writable) {
  STAMPEDE_TRY(File file, File::open(path, writable ? O_RDWR : O_RDONLY));
  STAMPEDE_TRY(const Size size, file.size());
  return std::make_unique<FileBlocks>(std::move(file), size);
}

}  // namespace stampede::volume
