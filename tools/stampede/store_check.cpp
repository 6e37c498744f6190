#include "src/service/store_check.h"

#include <boost/json.hpp>

#include "tools/stampede/progress.h"
#include "tools/stampede/store.h"

namespace stampede::tools {

namespace {

Result<> check(const std::filesystem::path& folder, bool as_json) {
  STAMPEDE_TRY(const auto store, open_present_store(folder));
  ProgressLine line(!as_json);
  STAMPEDE_TRY(const auto report,
               service::check_store(*store, [&](Size done, Size total) { line.show("checking", done.bytes, total.bytes); }));
  line.finish();
  if (as_json) {
    boost::json::array problems;
    for (const auto& problem : report.problems) problems.emplace_back(problem);
    print_json(boost::json::object{{"packs", report.packs.packs},
                                   {"chunks", report.packs.chunks},
                                   {"bytes", report.packs.bytes},
                                   {"images", report.images},
                                   {"problems", std::move(problems)}});
  } else {
    for (const auto& problem : report.problems) print(problem);
    note(fmt::format("{} chunks in {} packs ({}), {} images: {}", report.packs.chunks, report.packs.packs,
                     human_size(report.packs.bytes), report.images,
                     report.problems.empty() ? "all sound" : fmt::format("{} problems", report.problems.size())));
  }
  if (!report.problems.empty()) return fail(Code::store_damaged, "{}: {}", folder.string(), report.problems.front());
  return {};
}

}  // namespace

void add_store_check(CLI::App& store, Action& action) {
  auto* command =
      store.add_subcommand("check", "Re-hashes every chunk in this machine's store and checks every manifest and signature");
  auto folder = std::make_shared<std::filesystem::path>();
  auto as_json = std::make_shared<bool>(false);
  add_store_option(*command, *folder);
  command->add_flag("--json", *as_json, "The report as JSON on stdout");
  command->footer("Example: stampede store check --store /srv/stampede");
  command->callback([=, &action] { action = [=] { return check(*folder, *as_json); }; });
}

}  // namespace stampede::tools
