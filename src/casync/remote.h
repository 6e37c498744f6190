// Gets a file by HTTP. libcurl's home.
//
// Bounds: the size that the caller allows, kept while it comes; ten seconds to connect; what brings less than 1 KB a second
// for 30 seconds has ended; five redirections, to http and https alone. What may pass (no connection, a server's own fault)
// is tried three times. Certificates are verified as the machine is set up to.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"

namespace stampede::casync {

bool is_url(std::string_view location);

// Keeps its connection: one per thread.
class Remote {
 public:
  // `interrupted` is asked often while a file comes.
  explicit Remote(std::function<bool()> interrupted);
  ~Remote();
  Remote(Remote&&) noexcept;

  // Errors: not_found; unreachable, also for what else the server answers; usage, where there is more than `most`,
  // or libcurl is missing; interrupted.
  Result<Bytes> get(const std::string& url, Size most);

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace stampede::casync
