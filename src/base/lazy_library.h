// Shared libraries that are opened when something is first asked of them, not with the program: for those that few commands
// need and that bring many others with them. libcurl, libnbd and libarchive come with GnuTLS, Kerberos, LDAP, libxml2 and
// ICU, and starting those was most of what a command took to start; a netbooted target does without their files.
//
// A library's home has one struct of this kind, whose members are the functions that it calls.
#pragma once

#include "src/base/error.h"

namespace stampede {

// As dlopen(3); for the rest of the process. Built once, then used by any thread.
class LazyLibrary {
 public:
  // Error, each time: usage, where the library or one of the functions is not on this machine.
  Result<> usable() const;

 protected:
  // By its soname, which is the version of its ABI that the headers are of; `package` is Debian's that has it.
  LazyLibrary(const char* soname, const char* package);

  // Converts to a pointer to a function of any type: `decltype(&curl_easy_init) easy_init = function("curl_easy_init");`.
  // Null where there is none: nothing may be called before usable() was asked.
  class Function {
   public:
    explicit Function(void* address) : address_(address) {}
    template <class Signature>
    operator Signature*() const {  // NOLINT(google-explicit-constructor): what it is for
      return reinterpret_cast<Signature*>(address_);
    }

   private:
    void* address_;
  };
  Function function(const char* name);

 private:
  const char* const soname_;
  const char* const package_;
  void* handle_;
  std::string missing_;  // what the dynamic linker says; empty: nothing
};

}  // namespace stampede
