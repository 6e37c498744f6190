// Preloaded into a program: its packs (STAMPEDE_NO_FLUSH=packs) or its catalog (catalog) are not flushed, though it is told
// so. A fault that the power-loss tests of the store must find.
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>

namespace {

bool is_left_out(int fd) {
  const char* const which = ::getenv("STAMPEDE_NO_FLUSH");
  if (which == nullptr) return false;
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  const std::string_view name(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  return name.find(std::string_view(which) == "packs" ? ".open" : "catalog.sqlite") != std::string_view::npos;
}

int flush(const char* call, int fd) {
  if (is_left_out(fd)) return 0;
  return reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, call))(fd);
}

}  // namespace

extern "C" int fdatasync(int fd) { return flush("fdatasync", fd); }
extern "C" int fsync(int fd) { return flush("fsync", fd); }
