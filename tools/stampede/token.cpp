#include "src/service/site.h"
#include "tools/stampede/command.h"

namespace stampede::tools {

namespace {

Result<> create(const std::filesystem::path& folder, const std::string& ttl, unsigned uses, bool push) {
  STAMPEDE_TRY(const auto time, parse_duration(ttl));
  if (uses == 0) return fail(Code::usage, "--uses 0 makes a token that nobody can use");
  STAMPEDE_TRY(const auto store, open_store(folder));
  STAMPEDE_TRY(const auto text,
               service::create_token(*store, system_clock(), system_random(),
                                     std::chrono::duration_cast<std::chrono::seconds>(time), uses, {.push = push}));
  print(text);
  return {};
}

}  // namespace

void add_token(CLI::App& app, Action& action) {
  auto* token = app.add_subcommand("token", "Makes join tokens for the depot whose store is on this machine");
  token->require_subcommand(1);
  token->footer("Example: stampede token create --uses 40 > join.token");
  auto* command = token->add_subcommand("create", "Prints a new join token for the depot on this machine");
  auto folder = std::make_shared<std::filesystem::path>();
  auto ttl = std::make_shared<std::string>("15m");
  auto uses = std::make_shared<unsigned>(1);
  auto push = std::make_shared<bool>(false);
  add_store_option(*command, *folder);
  command->add_option("--ttl", *ttl, "How long it can be used, by the depot's clock")->capture_default_str();
  command->add_option("--uses", *uses, "How many machines may use it; each may come back")->capture_default_str();
  command->add_flag("--push", *push, "Who uses it may also push images into this store (`stampede image push`), for good");
  command->footer("Example: stampede token create --ttl 1h --uses 40 > rack4.token");
  command->callback([=, &action] { action = [=] { return create(*folder, *ttl, *uses, *push); }; });
}

}  // namespace stampede::tools
