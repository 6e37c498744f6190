#include "src/service/store_check.h"

#include <boost/json.hpp>
#include <charconv>

#include "tools/stampede/progress.h"
#include "tools/stampede/store.h"

namespace stampede::tools {

namespace {

struct Arguments {
  std::filesystem::path store;
  std::string share = "100%";
  bool from_start = false;
  bool as_json = false;
};

// "10%" or "10".
Result<unsigned> parse_percent(std::string_view text) {
  std::string_view digits = text;
  if (digits.ends_with('%')) digits.remove_suffix(1);
  unsigned percent = 0;
  const auto parsed = std::from_chars(digits.begin(), digits.end(), percent);
  if (parsed.ec != std::errc{} || parsed.ptr != digits.end() || percent < 1 || percent > 100)
    return fail(Code::usage, "--read-data-subset takes 1% to 100%, not '{}'", text);
  return percent;
}

void print_report(const service::StoreReport& report) {
  boost::json::array problems, damages;
  for (const auto& line : report.lines()) problems.emplace_back(line);
  for (const auto& damage : report.damages) {
    boost::json::array images;
    for (const std::uint32_t index : damage.images) images.emplace_back(report.images[index]);
    damages.push_back(boost::json::object{{"chunk", chunker::to_string(damage.chunk)},
                                          {"pack", damage.pack},
                                          {"what", damage.what},
                                          {"lost", damage.lost},
                                          {"images", std::move(images)}});
  }
  print_json(boost::json::object{{"packs", report.packs.packs},
                                 {"chunks", report.packs.chunks},
                                 {"bytes", report.packs.bytes},
                                 {"read", report.packs.read},
                                 {"complete", report.packs.complete},
                                 {"images", report.images.size()},
                                 {"damages", std::move(damages)},
                                 {"more_damages", report.more_damages},
                                 {"problems", std::move(problems)}});
}

Result<> check(const Arguments& arguments) {
  service::StoreCheckOptions options;
  STAMPEDE_TRY(options.percent, parse_percent(arguments.share));
  options.from_start = arguments.from_start;
  catch_signals();
  STAMPEDE_TRY(const auto store, open_present_store(arguments.store));
  ProgressLine line(!arguments.as_json);
  options.progress = [&](Size done, Size total) { line.show("checking", done.bytes, total.bytes); };
  options.images = [&](std::uint64_t done, std::uint64_t total) {
    line.show(fmt::format("going through images, {} of {}", done, total));
  };
  options.interrupted = [] { return stop_requested().load(); };
  const auto checked = service::check_store(*store, options);
  line.finish();
  if (!checked) return pass(checked.error());
  const auto& report = *checked;
  const auto lines = report.lines();
  if (arguments.as_json) {
    print_report(report);
  } else {
    for (const auto& problem : lines) print(problem);
    note(fmt::format("{} chunks in {} packs ({}, {} of it read now), {} images: {}", report.packs.chunks, report.packs.packs,
                     human_size(report.packs.bytes), human_size(report.packs.read), report.images.size(),
                     lines.empty() ? "all sound" : fmt::format("{} problems", lines.size())));
  }
  if (!lines.empty()) return fail(Code::store_damaged, "{}: {}", arguments.store.string(), lines.front());
  return {};
}

}  // namespace

void add_store_check(CLI::App& store, Action& action) {
  auto* command = store.add_subcommand(
      "check", "Re-hashes every chunk in this machine's store and checks manifests, signatures, catalog and keys");
  auto arguments = std::make_shared<Arguments>();
  add_store_option(*command, arguments->store);
  command->add_option("--read-data-subset", arguments->share,
                      "The share of the packs' data to read, another one each time: 10% in ten nights reads all of it");
  command->add_flag("--from-start", arguments->from_start, "Does not go on where an interrupted check was");
  command->add_flag("--json", arguments->as_json, "The report as JSON on stdout");
  command->footer("Example: stampede store check --read-data-subset 10% --store /srv/stampede");
  command->callback([=, &action] { action = [=] { return check(*arguments); }; });
}

}  // namespace stampede::tools
