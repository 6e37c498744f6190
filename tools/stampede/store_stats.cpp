#include <boost/json.hpp>

#include "tools/stampede/progress.h"
#include "tools/stampede/store.h"

namespace stampede::tools {

namespace {

boost::json::object to_json(const cache::StoreStats& stats) {
  boost::json::array images, problems;
  for (const auto& image : stats.images)
    images.push_back(boost::json::object{{"image", chunker::to_string(image.image)},
                                         {"names", boost::json::array(image.names.begin(), image.names.end())},
                                         {"disk", image.disk.bytes},
                                         {"data", image.data.bytes},
                                         {"own", image.own.bytes},
                                         {"shared", image.shared.bytes}});
  for (const auto& problem : stats.problems) problems.emplace_back(problem);
  return {{"tags", stats.tags},
          {"packs", stats.packs},
          {"damaged_packs", stats.damaged_packs},
          {"packs_bytes", stats.packs_size.bytes},
          {"chunks", stats.chunks},
          {"live_chunks", stats.live_chunks},
          {"plain", stats.plain.bytes},
          {"sealed", stats.sealed.bytes},
          {"live", stats.live.bytes},
          {"garbage", stats.garbage.bytes},
          {"catalog", stats.catalog.bytes},
          {"data", stats.data().bytes},
          {"ratio", stats.ratio()},
          {"images", std::move(images)},
          {"problems", std::move(problems)}};
}

void tell(const cache::StoreStats& stats) {
  print(fmt::format("{} images, {} tags: {} of data, kept in {} (ratio {:.2f})", stats.images.size(), stats.tags,
                    human_size(stats.data().bytes), human_size(stats.live.bytes), stats.ratio()));
  print(fmt::format("{} chunks in {} packs: {} plain, {} sealed; the packs take {}, the catalog {}", stats.chunks,
                    stats.packs, human_size(stats.plain.bytes), human_size(stats.sealed.bytes),
                    human_size(stats.packs_size.bytes), human_size(stats.catalog.bytes)));
  print(fmt::format("{} of them are garbage: {}", stats.chunks - stats.live_chunks, human_size(stats.garbage.bytes)));
  if (stats.damaged_packs > 0) print(fmt::format("{} packs cannot be opened", stats.damaged_packs));
  for (const auto& image : stats.images)
    print(fmt::format("{}  {} of data, {} its own, {} shared  {}", chunker::to_string(image.image).substr(0, 12),
                      human_size(image.data.bytes), human_size(image.own.bytes), human_size(image.shared.bytes),
                      fmt::join(image.names, " ")));
  for (const auto& problem : stats.problems) note(problem);
}

Result<> show(const std::filesystem::path& folder, bool as_json) {
  STAMPEDE_TRY(const auto store, open_present_store(folder));
  catch_signals();
  ProgressLine line(!as_json);
  const auto stats =
      store->stats({.progress =
                        [&](std::uint64_t done, std::uint64_t total) {
                          line.show(fmt::format("reading manifests: {}%", 100 * done / std::max<std::uint64_t>(total, 1)));
                        },
                    .interrupted = [] { return stop_requested().load(); }});
  line.finish();
  STAMPEDE_CHECK(stats);
  if (as_json)
    print_json(to_json(*stats));
  else
    tell(*stats);
  return {};
}

}  // namespace

void add_store_stats(CLI::App& store, Action& action) {
  auto* command = store.add_subcommand("stats", "What this machine's store holds, and what of it each image has for itself");
  auto folder = std::make_shared<std::filesystem::path>();
  auto as_json = std::make_shared<bool>(false);
  add_store_option(*command, *folder);
  command->add_flag("--json", *as_json, "The same as JSON on stdout; sizes in bytes");
  command->footer("Example: stampede store stats --json | jq .ratio");
  command->callback([=, &action] { action = [=] { return show(*folder, *as_json); }; });
}

}  // namespace stampede::tools
