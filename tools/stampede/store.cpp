#include "tools/stampede/store.h"

namespace stampede::tools {

Result<std::unique_ptr<cache::Store>> open_present_store(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder / "version", ignored))
    return fail(Code::not_found, "no store in {}; name one with --store or STAMPEDE_STORE", folder.string());
  return open_store(folder);
}

void add_store(CLI::App& app, Action& action) {
  auto* store = app.add_subcommand("store", "Looks after this machine's store");
  store->require_subcommand(1);
  store->footer("Example: stampede store check --store /srv/stampede");
  add_store_check(*store, action);
  add_store_repair(*store, action);
  add_store_gc(*store, action);
  add_store_stats(*store, action);
}

}  // namespace stampede::tools
