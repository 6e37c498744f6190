#include "src/volume/ext4_tools.h"

#include "src/volume/run_tool.h"
#include "src/volume/served_blocks.h"

namespace stampede::volume {

namespace {

constexpr int kCorrected = 1;  // e2fsck(8): the least of what is not 0

class Tools {
 public:
  Tools(ServedBlocks& served, const std::function<bool()>& go_on) : served_(served), go_on_(go_on) {}

  Result<> run(std::string_view name, std::vector<std::string> arguments, int worst = 0) const {
    STAMPEDE_TRY(const std::string path, find_tool(name, "e2fsprogs"));
    arguments.emplace_back(kToolFile);
    STAMPEDE_TRY(const ToolRun ran, run_tool(path, std::move(arguments), served_.file(), go_on_));
    if (auto settled = served_.settle(); !settled) return pass(std::move(settled).error(), name);
    if (ran.status <= worst) return {};
    return fail(Code::write_failed, "{} ended with status {}: {}", name, ran.status, ran.last_line());
  }

 private:
  ServedBlocks& served_;
  const std::function<bool()>& go_on_;
};

}  // namespace

Result<> change_ext4(BlockAccess& blocks, Offset at, Size length, const Ext4Change& change,
                     const std::function<bool()>& go_on) {
  STAMPEDE_TRY(const auto served, ServedBlocks::serve(blocks, at, length));
  const Tools tools(*served, go_on);
  STAMPEDE_CHECK(tools.run("e2fsck", {"-f", "-p"}, kCorrected));
  if (change.grow) STAMPEDE_CHECK(tools.run("resize2fs", {}));
  if (change.uuid) STAMPEDE_CHECK(tools.run("tune2fs", {"-U", *change.uuid}));
  return tools.run("e2fsck", {"-f", "-n"});
}

Result<> check_ext4_tools() {
  for (const std::string_view name : {"e2fsck", "resize2fs", "tune2fs"}) {
    if (const auto found = find_tool(name, "e2fsprogs"); !found) return pass(found.error());
  }
  return check_can_serve();
}

}  // namespace stampede::volume
