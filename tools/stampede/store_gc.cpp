#include <boost/json.hpp>

#include "cache/gc.h"
#include "tools/stampede/progress.h"
#include "tools/stampede/store.h"

namespace stampede::tools {

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string grace = "1h";
  std::string wait = "1h";
  unsigned garbage = cache::GcOptions{}.garbage;
  bool dry_run = false;
  bool as_json = false;
};

boost::json::object to_json(const cache::GcReport& report, bool dry_run) {
  boost::json::array problems;
  for (const auto& problem : report.problems) problems.emplace_back(problem);
  return {{"dry_run", dry_run},
          {"images", report.images},
          {"packs", report.packs},
          {"chunks", report.chunks},
          {"live_chunks", report.live_chunks},
          {"bytes", report.size.bytes},
          {"live_bytes", report.live.bytes},
          {"removed_packs", report.removed_packs},
          {"repacked_packs", report.repacked_packs},
          {"young_packs", report.young_packs},
          {"freed", report.freed.bytes},
          {"copied", report.copied.bytes},
          {"missing_chunks", report.missing},
          {"problems", std::move(problems)}};
}

void tell(const cache::GcReport& report, bool dry_run) {
  for (const auto& problem : report.problems) note("left as it is: " + problem);
  if (report.missing > 0)
    note(fmt::format("{} chunks that images name are nowhere; `stampede store check` says which", report.missing));
  print(fmt::format("{} images need {} of {} in {} packs", report.images, human_size(report.live.bytes),
                    human_size(report.size.bytes), report.packs));
  print(fmt::format("{} {} packs and repacked {}, of which {} were needed: {} freed",
                    dry_run ? "would have removed" : "removed", report.removed_packs, report.repacked_packs,
                    human_size(report.copied.bytes),
                    human_size(report.freed.bytes - std::min(report.freed, report.copied).bytes)));
  if (report.young_packs > 0)
    print(fmt::format("{} packs with garbage are younger than the grace time", report.young_packs));
}

Result<> collect(const Arguments& arguments) {
  cache::GcOptions options{.garbage = arguments.garbage, .dry_run = arguments.dry_run};
  STAMPEDE_TRY(options.grace, parse_duration(arguments.grace));
  STAMPEDE_TRY(options.wait, parse_duration(arguments.wait));
  STAMPEDE_TRY(const auto store, open_present_store(arguments.store));
  catch_signals();
  ProgressLine line(!arguments.as_json);
  options.interrupted = [] { return stop_requested().load(); };
  options.progress = [&](cache::GcStage stage, std::uint64_t done, std::uint64_t total) {
    if (stage == cache::GcStage::copying)
      line.show(name_of(stage), done, total);
    else
      line.show(fmt::format("{}: {} of {} {}", name_of(stage), done, total,
                            stage == cache::GcStage::marking ? "images" : "imports under way have ended"));
  };
  const auto report = store->collect_garbage(options);
  line.finish();
  STAMPEDE_CHECK(report);
  if (arguments.as_json)
    print_json(to_json(*report, arguments.dry_run));
  else
    tell(*report, arguments.dry_run);
  return {};
}

}  // namespace

void add_store_gc(CLI::App& store, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = store.add_subcommand("gc", "Frees what no image needs any more, beside whatever else uses the store");
  add_store_option(*command, arguments->store);
  command->add_option("--grace", arguments->grace, "Packs younger than this stay, so that a killed import can be repeated")
      ->capture_default_str();
  command
      ->add_option("--garbage", arguments->garbage,
                   "A pack of which so many percent are garbage is rewritten without it; 100: only whole ones go")
      ->check(CLI::Range(1U, 100U))
      ->capture_default_str();
  command->add_option("--wait", arguments->wait, "How long imports that are under way are waited for")
      ->capture_default_str();
  command->add_flag("--dry-run", arguments->dry_run, "Only says what it would do");
  command->add_flag("--json", arguments->as_json, "The report as JSON on stdout");
  command->footer(
      "It may be stopped at any time; the next one goes on.\n"
      "Example: stampede store gc --grace 1d --store /srv/stampede");
  command->callback([arguments, &action] { action = [arguments] { return collect(*arguments); }; });
}

}  // namespace stampede::tools
