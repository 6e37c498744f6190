#include "src/base/lazy_library.h"

#include <dlfcn.h>

namespace stampede {

LazyLibrary::LazyLibrary(const char* soname, const char* package)
    : soname_(soname), package_(package), handle_(::dlopen(soname, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) missing_ = ::dlerror();
}

LazyLibrary::Function LazyLibrary::function(const char* name) {
  void* const address = handle_ == nullptr ? nullptr : ::dlsym(handle_, name);
  if (address == nullptr && missing_.empty()) missing_ = ::dlerror();
  return Function(address);
}

Result<> LazyLibrary::usable() const {
  if (missing_.empty()) return {};
  return fail(Code::usage, "{} is needed for this and cannot be used ({}): install Debian's package {}", soname_, missing_,
              package_);
}

}  // namespace stampede
