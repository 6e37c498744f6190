#include "src/disk/image_file.h"

#include <cerrno>

#include "src/disk/new_file.h"
#include "src/volume/run_tool.h"

namespace stampede::disk {

namespace {

constexpr std::string_view kFormat = "qcow2";

class ServedReader final : public Reader {
 public:
  explicit ServedReader(std::unique_ptr<nbd::Connection> connection) : connection_(std::move(connection)) {}
  Result<std::size_t> read_some_at(Offset offset, MutableBytes out) const override {
    if (connection_->read(offset.bytes, out) >= 0) return out.size();
    return fail(Code::read_failed, "cannot read at byte {}: {}", offset.bytes, errno_text(errno));
  }

 private:
  const std::unique_ptr<nbd::Connection> connection_;
};

Result<> format(const File& file, Size size) {
  const auto tool = volume::find_tool("qemu-img", "qemu-utils");
  if (!tool) return fail(Code::usage, "{}", tool.error().message);
  std::vector<std::string> arguments{"create", "-q", "-f", std::string(kFormat), std::string(volume::kToolFile)};
  arguments.push_back(std::to_string(size.bytes));
  STAMPEDE_TRY(const auto ran, volume::run_tool(*tool, std::move(arguments), file));
  if (ran.status == 0) return {};
  return fail(Code::write_failed, "cannot make {}: {}", file.name(), ran.last_line());
}

}  // namespace

bool is_image_file(const std::filesystem::path& path) { return path.extension() == ".qcow2"; }

Result<std::unique_ptr<ImageFile>> ImageFile::create(const File& file, Size size) {
  STAMPEDE_CHECK(format(file, size));
  std::unique_ptr<ImageFile> image(new ImageFile);
  image->direct_ = set_direct(file.fd());
  STAMPEDE_TRY(image->server_, nbd::Server::serve(file, kFormat, image->direct_));
  for (auto* connection : {&image->content_, &image->engine_, &image->reader_}) *connection = image->server_->connection();
  return image;
}

std::unique_ptr<Reader> ImageFile::reader() { return std::make_unique<ServedReader>(std::move(reader_)); }

Result<> ImageFile::close() { return server_->stop(); }

}  // namespace stampede::disk
