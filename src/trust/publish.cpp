#include "src/trust/publish_impl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "src/base/file.h"
#include "src/base/seams.h"

namespace stampede::trust {

namespace {

Result<> write_new(const std::filesystem::path& path, ByteView bytes, unsigned mode) {
  STAMPEDE_TRY(const File file, File::open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  STAMPEDE_CHECK(file.write_at({}, bytes));
  return file.sync();
}

}  // namespace

Result<bool> publish(const std::filesystem::path& path, ByteView bytes, unsigned mode) {
  std::filesystem::path temporary = path;
  temporary += fmt::format(".{:016x}.new", system_random().number());
  if (auto written = write_new(temporary, bytes, mode); !written) {
    ::unlink(temporary.c_str());
    return pass(std::move(written).error(), fmt::format("making {}", path.string()));
  }
  // link(2) refuses an existing name, which rename(2) would replace.
  const int error = ::link(temporary.c_str(), path.c_str()) == 0 ? 0 : errno;
  ::unlink(temporary.c_str());
  if (error == EEXIST) return false;
  if (error != 0) return fail(Code::write_failed, "cannot make {}: {}", path.string(), errno_text(error));
  STAMPEDE_CHECK(sync_folder(path.has_parent_path() ? path.parent_path() : "."));
  return true;
}

}  // namespace stampede::trust
