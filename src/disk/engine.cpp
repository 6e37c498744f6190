#include "src/disk/engine.h"

#include <cstdlib>

namespace stampede::disk {

namespace {
Result<EngineKind> wanted(EngineKind kind) {
  const char* const said = std::getenv("STAMPEDE_DISK_IO");
  if (kind != EngineKind::automatic || said == nullptr) return kind;
  const std::string_view name(said);
  if (name == "uring") return EngineKind::uring;
  if (name == "calls") return EngineKind::calls;
  return fail(Code::usage, "STAMPEDE_DISK_IO is '{}': it may be uring, calls, or not set", name);
}
}  // namespace

Result<std::unique_ptr<Engine>> open_engine(const EngineOptions& options) {
  if (options.nbd != nullptr) return open_nbd_engine(options);
  STAMPEDE_TRY(const EngineKind kind, wanted(options.kind));
  if (kind == EngineKind::calls) return open_call_engine(options);
  auto engine = open_uring_engine(options);
  if (!engine && kind == EngineKind::automatic) return open_call_engine(options);
  return engine;
}

}  // namespace stampede::disk
