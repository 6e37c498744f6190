#include "src/deploy/drift.h"

#include <boost/json.hpp>

#include "tools/stampede/depot_options.h"
#include "tools/stampede/progress.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

struct DriftArguments {
  DepotArguments depot;
  std::string disk, image;
  std::vector<std::string> ignore;
  bool strict = false;
  bool as_json = false;
};

Result<deploy::DriftOptions> read_options(const DriftArguments& arguments) {
  deploy::DriftOptions options;
  STAMPEDE_CHECK(read_depot_options(arguments.depot, options));
  STAMPEDE_TRY(options.disk, disk::Selector::parse(arguments.disk));
  if (!arguments.image.empty()) {
    STAMPEDE_TRY(options.image, chunker::ImageRef::parse(arguments.image));
  }
  if (!arguments.strict) options.ignore = deploy::kUsualIgnores;
  options.ignore.insert(options.ignore.end(), arguments.ignore.begin(), arguments.ignore.end());
  return options;
}

void print_drift(const deploy::Drift& drift) {
  const auto& report = drift.report;
  for (const auto& one : drift.all)
    print(fmt::format("{:<10}{:>4}  {:<9} {:>10}  {}", deploy::counts(one.kind) ? "differs" : "(ignored)",
                      one.partition == 0 ? std::string("-") : std::to_string(one.partition), deploy::name_of(one.kind),
                      human_size(one.bytes.bytes), one.what));
  print(fmt::format(
      "{}: {} of {} differ from {}{}{}", report.disk.path, human_size(report.bytes.differs), human_size(report.bytes.read),
      report.name,
      drift.receipt_image.empty() ? "" : fmt::format(" as deployment {} left it", drift.receipt_image.substr(0, 12)),
      drift.live ? "; the disk is mounted, so this is approximate" : ""));
}

void print_drift_json(const deploy::Drift& drift) {
  const auto& report = drift.report;
  json::array partitions, entries;
  for (const auto& one : drift.all) {
    entries.push_back(json::object{{"partition", one.partition},
                                   {"kind", deploy::name_of(one.kind)},
                                   {"what", one.what},
                                   {"bytes", one.bytes.bytes},
                                   {"counts", deploy::counts(one.kind)}});
    auto* last = partitions.empty() ? nullptr : &partitions.back().as_object();
    if (last == nullptr || last->at("number").as_int64() != static_cast<std::int64_t>(one.partition))
      last = &partitions
                  .emplace_back(json::object{
                      {"number", std::int64_t{one.partition}}, {"differs", std::uint64_t{0}}, {"ignored", std::uint64_t{0}}})
                  .as_object();
    auto& sum = last->at(deploy::counts(one.kind) ? "differs" : "ignored").as_uint64();
    sum += one.bytes.bytes;
  }
  print_json(json::object{{"disk", report.disk.path},
                          {"name", report.name},
                          {"image", report.image},
                          {"deployment", drift.receipt_image},
                          {"drifted", drift.drifted()},
                          {"approximate", drift.live},
                          {"read", report.bytes.read},
                          {"differs", report.bytes.differs},
                          {"partitions", std::move(partitions)},
                          {"entries", std::move(entries)},
                          {"delivered", drift.delivered}});
}

Result<> run(const DriftArguments& arguments) {
  STAMPEDE_TRY(auto options, read_options(arguments));
  catch_signals();
  ProgressLine line(!arguments.as_json);
  options.progress = [&](Size read, Size total) {
    line.show("reading", read.bytes, total.bytes);
    return true;
  };
  STAMPEDE_TRY(const auto drift, deploy::find_drift(options));
  line.finish();
  arguments.as_json ? print_drift_json(drift) : print_drift(drift);
  if (!drift.drifted()) return {};
  return fail(Code::drifted, "{} differs from {}; `stampede deploy {} --delta always` mends it", drift.report.disk.path,
              drift.report.name, drift.report.image);
}

}  // namespace

void add_drift(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand(
      "drift", "Says what a disk of THIS machine holds that its image does not; reads only, on a running system too");
  auto arguments = std::make_shared<DriftArguments>();
  DriftArguments& a = *arguments;
  command->add_option("--disk", a.disk, "The disk to look at: serial:…, wwn:…, dev:/dev/…, or file:/… for a VM")->required();
  add_depot_options(*command, a.depot);
  command->add_option("--image", a.image, "Compare with this one instead of what the disk's last receipt names")
      ->type_name("NAME:TAG");
  command
      ->add_option("--ignore", a.ignore, "Files that may change, as a pattern of their path: '/srv/data/*'; several times")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  command->add_flag("--strict", a.strict, "Logs, caches and state (/var/log, /var/cache, /run, …) count as well");
  command->add_flag("--json", a.as_json, "As JSON on stdout");
  command->footer(
      "Exit code 0: nothing differs that counts; 3: something does. The depot keeps the result: `stampede receipt list`.\n"
      "Example: stampede drift --disk serial:S4X9NF0M --depot 10.0.0.1 --ignore '/srv/*'");
  command->callback([=, &action] { action = [=] { return run(*arguments); }; });
}

}  // namespace stampede::tools
