#include "src/service/store_repair.h"

#include <boost/json.hpp>

#include "tools/stampede/depot_options.h"
#include "tools/stampede/progress.h"
#include "tools/stampede/store.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct Arguments {
  std::filesystem::path store;
  DepotArguments depot;
  bool dry_run = false;
  bool as_json = false;
};

void print_report(const service::Repaired& repaired) {
  json::array packs, aside, not_mended, problems;
  for (const auto& pack : repaired.packs) packs.emplace_back(pack);
  for (const auto& path : repaired.aside) aside.emplace_back(path.string());
  for (const auto& chunk : repaired.not_mended)
    not_mended.push_back(
        json::object{{"chunk", chunker::to_string(chunk.chunk)}, {"images", chunk.images}, {"why", chunk.why}});
  for (const auto& problem : repaired.problems) problems.emplace_back(problem);
  print_json(json::object{{"packs", std::move(packs)},
                          {"aside", std::move(aside)},
                          {"kept", repaired.kept},
                          {"lost", repaired.lost},
                          {"fetched", repaired.fetched},
                          {"fetched_bytes", repaired.fetched_bytes.bytes},
                          {"not_mended", std::move(not_mended)},
                          {"problems", std::move(problems)},
                          {"sound", repaired.sound()}});
}

void tell(const service::Repaired& repaired, bool dry_run) {
  for (const auto& pack : repaired.packs) print(fmt::format("pack {} is damaged", pack));
  for (const auto& path : repaired.aside) print(fmt::format("moved aside: {}", path.string()));
  for (const auto& chunk : repaired.not_mended)
    print(fmt::format("chunk {} of {}: {}", chunker::to_string(chunk.chunk),
                      chunk.images.empty() ? "no image" : chunk.images, chunk.why));
  for (const auto& problem : repaired.problems) print(problem);
  if (dry_run)
    return note(fmt::format("{} damaged packs, {} chunks without a sound copy; nothing was changed", repaired.packs.size(),
                            repaired.lost));
  note(fmt::format(
      "{} damaged packs, {} sound chunks of theirs kept; {} chunks without a sound copy, {} of them fetched ({})",
      repaired.packs.size(), repaired.kept, repaired.lost, repaired.fetched, human_size(repaired.fetched_bytes.bytes)));
}

Result<> repair(const Arguments& arguments) {
  service::RepairOptions options;
  options.fetch = !arguments.depot.depot.empty();
  options.dry_run = arguments.dry_run;
  if (options.fetch) STAMPEDE_CHECK(read_depot_options(arguments.depot, options));
  catch_signals();
  STAMPEDE_TRY(const auto store, open_present_store(arguments.store));
  ProgressLine line(!arguments.as_json);
  options.check.progress = [&](Size done, Size total) { line.show("checking", done.bytes, total.bytes); };
  options.check.interrupted = [] { return stop_requested().load(); };
  options.fetching = [&](std::uint64_t done, std::uint64_t total) {
    line.show(fmt::format("fetching chunks, {} of {}", done, total));
  };
  const auto repaired = service::repair_store(*store, options);
  line.finish();
  if (!repaired) return pass(repaired.error());
  arguments.as_json ? print_report(*repaired) : tell(*repaired, arguments.dry_run);
  if (repaired->sound() && (!arguments.dry_run || repaired->packs.empty())) return {};
  return fail(Code::store_damaged, "{}: {}", arguments.store.string(),
              arguments.dry_run ? "there is something to repair" : "not all could be repaired");
}

}  // namespace

void add_store_repair(CLI::App& store, Action& action) {
  auto* command = store.add_subcommand(
      "repair", "Mends what a check finds in this machine's packs, with sound copies that are here or at another depot");
  auto arguments = std::make_shared<Arguments>();
  add_store_option(*command, arguments->store);
  add_depot_options(*command, arguments->depot, false);
  command->add_flag("--dry-run", arguments->dry_run, "Says what is damaged and changes nothing");
  command->add_flag("--json", arguments->as_json, "The report as JSON on stdout");
  command->footer(
      "Damaged packs are moved to STORE/damaged, after what is sound in them is safe elsewhere; nothing is removed.\n"
      "Example: stampede store repair --depot 10.0.0.1 --token-file join.token");
  command->callback([=, &action] { action = [=] { return repair(*arguments); }; });
}

}  // namespace stampede::tools
