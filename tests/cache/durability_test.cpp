// What the store asks of the kernel before it says that something is durable. A test cannot pull the plug; it can see that
// the calls are made, and in which order. So the three calls are this program's own here, and go on to the C library's.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

#include "tests/cache/store_fixture.h"

namespace {

std::mutex mutex;
std::filesystem::path watched;
std::vector<std::string> calls;  // "flush NAME" and "rename NAME", by the file's extension or the folder's name

void note(const char* what, const std::filesystem::path& path) {
  const std::lock_guard lock(mutex);
  if (watched.empty() || (path != watched && path.parent_path() != watched)) return;
  calls.push_back(std::string(what) + " " + (path == watched ? path.filename() : path.extension()).string());
}

std::filesystem::path path_of(int fd) {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored);
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int fdatasync(int fd) {
  note("flush", path_of(fd));
  return next<int(int)>("fdatasync")(fd);
}

extern "C" int fsync(int fd) {
  note("flush", path_of(fd));
  return next<int(int)>("fsync")(fd);
}

extern "C" int rename(const char* from, const char* to) noexcept {
  note("rename", to);
  return next<int(const char*, const char*)>("rename")(from, to);
}

namespace stampede::cache {
namespace {

using namespace stampede::testing;

std::vector<std::string> while_watching(const std::filesystem::path& folder, const std::function<void()>& work) {
  {
    const std::lock_guard lock(mutex);
    watched = std::filesystem::canonical(folder);
    calls.clear();
  }
  work();
  const std::lock_guard lock(mutex);
  watched.clear();
  return calls;
}

TEST(Durability, APackIsFlushedThenNamedThenItsNameIsFlushed) {
  const Scratch scratch;
  const auto store = open_store(scratch / "store");
  const auto seen = while_watching(scratch / "store/packs", [&] { put_all(*store, some_chunks(1, 10)); });
  EXPECT_EQ(seen, (std::vector<std::string>{"flush .open", "rename .pack", "flush packs"}));
}

}  // namespace
}  // namespace stampede::cache
