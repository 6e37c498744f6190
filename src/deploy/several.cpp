#include "src/deploy/several.h"

#include "src/base/seams.h"
#include "src/deploy/reserve.h"

namespace stampede::deploy {

namespace {

std::string name_of(const Options& options) { return fmt::format("{} onto {}", options.image.text(), options.disk.text()); }

// Disks of one machine with the same ids: which one it finds then is chance.
void warn_of_twins(const std::vector<Options>& all) {
  for (auto one = all.begin(); one != all.end(); ++one)
    for (auto other = std::next(one); other != all.end(); ++other)
      if (one->reserved->record.image == other->reserved->record.image && !one->fit.fresh_uuids && !other->fit.fresh_uuids)
        one->warn(fmt::format("{} and {} get the same GUIDs and UUIDs: --fresh-uuids gives each its own", name_of(*one),
                              name_of(*other)));
}

Result<> hold_all(std::vector<Options>& all) {
  STAMPEDE_CHECK(check_distinct(all));
  STAMPEDE_TRY(auto access, Access::open(all.front()));
  STAMPEDE_CHECK(access.connect());
  for (Options& options : all) {
    options.reserved = std::make_shared<Reserved>();
    if (auto held = reserve(access, options, *options.reserved); !held)
      return pass(std::move(held).error(), name_of(options));
    // Read again at its turn: kept, they would take the memory of all.
    if (auto image = read_image(access, options, options.reserved->record); !image)
      return pass(std::move(image).error(), name_of(options));
  }
  warn_of_twins(all);
  return {};
}

// Nothing is written to it, for that reason; the depot is told if it is there.
void refuse(Options& options, const Error& why) {
  if (options.reserved) options.reserved->disk = {};
  options.refused = why;
  options.patience = {};
}

std::string list(std::string_view what, const std::vector<std::string>& names) {
  return names.empty() ? "" : fmt::format("; {}: {}", what, fmt::join(names, ", "));
}

}  // namespace

Result<> check_distinct(const std::vector<Options>& all) {
  STAMPEDE_TRY(const auto disks, disk::list_disks());
  std::vector<disk::Selector> selectors;
  for (const Options& options : all) selectors.push_back(options.disk);
  return disk::check_distinct(selectors, disks);
}

Outcomes deploy_all(std::vector<Options> all, const std::function<void(std::size_t, const Outcome&)>& done) {
  std::array<std::byte, 16> group{};
  system_random().fill(group);
  for (Options& options : all) options.group = group;
  Outcomes out{std::vector<Outcome>(all.size()), std::nullopt};
  if (const auto held = hold_all(all); !held) out.error = held.error();
  const bool all_held = !out.error;
  if (out.error) out.error->message += "; no disk is written";
  std::vector<std::string> complete, not_begun;
  for (std::size_t turn = 1; turn <= all.size(); ++turn) {
    const std::size_t index = turn % all.size();
    Options& options = all[index];
    if (out.error) {
      refuse(options, all_held ? Error{out.error->code, "not begun: " + out.error->message} : *out.error);
      not_begun.push_back(name_of(options));
    }
    if (index != 0) options.serve_for = Duration{};
    out.each[index] = deploy(options, [&](const Outcome& outcome) { done(index, outcome); });
    if (const auto& error = out.each[index].error; !error)
      complete.push_back(name_of(options));
    else if (!out.error)
      out.error = Error(*error).within(name_of(options));
  }
  if (out.error && all_held) out.error->message += list("done", complete) + list("not begun", not_begun);
  return out;
}

}  // namespace stampede::deploy
