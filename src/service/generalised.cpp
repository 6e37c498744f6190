#include "src/service/generalised.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "src/formats/spool.h"
#include "src/volume/inspect.h"

namespace stampede::service {

namespace {

Result<> copy_into(formats::Spool& spool, const File& file, Size size, const CopyOptions& options) {
  Bytes part(formats::Spool::kPart.bytes);
  for (Offset at, end{size.bytes}; at < end;) {
    STAMPEDE_TRY(const File::Stored stored, file.next_stored(at, end));
    STAMPEDE_CHECK(spool.skip(stored.begin - at));
    for (at = stored.begin; at < stored.end;) {
      if (options.interrupted && options.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
      // Up to the next multiple of a part, where the spool's own end.
      const std::size_t length = std::min(part.size() - at.bytes % part.size(), (stored.end - at).bytes);
      STAMPEDE_CHECK(file.read_at(at, MutableBytes(part).first(length)));
      STAMPEDE_CHECK(spool.write(ByteView(part).first(length)));
      at += Size{length};
    }
  }
  return {};
}

// What has no name need not be durable.
class Unkept final : public volume::BlockAccess {
 public:
  explicit Unkept(volume::BlockAccess& inner) : inner_(inner) {}
  Size size() const override { return inner_.size(); }
  Result<> read(Offset offset, MutableBytes out) override { return inner_.read(offset, out); }
  Result<> write(Offset offset, ByteView bytes) override { return inner_.write(offset, bytes); }
  Result<> flush() override { return {}; }

 private:
  volume::BlockAccess& inner_;
};

}  // namespace

Result<File> unnamed_copy(const std::filesystem::path& folder, const std::filesystem::path& image,
                          const CopyOptions& options) {
  STAMPEDE_TRY(const File file, File::open(image, O_RDONLY));
  STAMPEDE_TRY(const Size size, file.size());
  STAMPEDE_TRY(const FileStamp before, file.stamp());
  STAMPEDE_TRY(File shared, File::unnamed(folder, image.string()));
  if (::ioctl(shared.fd(), FICLONE, file.fd()) == 0) return shared;
  STAMPEDE_TRY(auto spool, formats::Spool::make(folder, image.string(), {.max_size = size}));
  STAMPEDE_CHECK(spool.declare(size));
  STAMPEDE_CHECK(copy_into(spool, file, size, options));
  STAMPEDE_TRY(const FileStamp after, file.stamp());
  if (before.regular && after != before)
    return fail(Code::read_failed, "{} changed while it was read; import it when nobody writes it", image.string());
  return std::move(spool).finish();
}

Result<volume::Generalised> generalise_spool(const std::filesystem::path& spool, const std::string& name) {
  const auto done = [&]() -> Result<volume::Generalised> {
    STAMPEDE_TRY(const auto facts, volume::inspect(spool, false));
    STAMPEDE_TRY(const auto blocks, volume::open_blocks(spool, true));
    Unkept unkept(*blocks);
    return volume::generalise(unkept, facts);
  }();
  if (!done) return pass(done.error(), fmt::format("generalising a copy of {}", name));
  return done;
}

}  // namespace stampede::service
