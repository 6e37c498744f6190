#include "src/service/image_diff.h"

#include <algorithm>
#include <boost/json.hpp>

#include "src/base/text.h"
#include "tools/stampede/command.h"
#include "tools/stampede/image.h"

namespace stampede::tools {

namespace json = boost::json;

namespace {

constexpr std::size_t kUsualLimit = 40;

struct Arguments {
  std::filesystem::path store;
  std::string before, after;
  bool summary = false;
  bool all = false;
  bool as_json = false;
  bool exit_code = false;
  std::size_t limit = kUsualLimit;
};

struct Row {
  unsigned partition = 0;
  service::FileChange change;
};

std::string_view name_of(service::FileChange::Kind kind) {
  switch (kind) {
    case service::FileChange::Kind::added:
      return "added";
    case service::FileChange::Kind::removed:
      return "removed";
    case service::FileChange::Kind::changed:
      return "changed";
  }
  return "changed";
}

// Keeps the largest `limit` of all, and counts.
class Rows {
 public:
  explicit Rows(std::size_t limit) : limit_(limit) {}
  void add(unsigned partition, service::FileChange change) {
    ++counts_[static_cast<std::size_t>(change.kind)];
    rows_.push_back({partition, std::move(change)});
    std::ranges::push_heap(rows_, before);
    if (rows_.size() <= limit_) return;
    std::ranges::pop_heap(rows_, before);
    rows_.pop_back();
  }
  std::size_t count(service::FileChange::Kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  std::size_t count() const { return counts_[0] + counts_[1] + counts_[2]; }
  std::vector<Row> sorted() && {
    std::ranges::sort(rows_, before);
    return std::move(rows_);
  }

 private:
  // The largest first, then by name; the last of them is what goes first from the heap.
  static bool before(const Row& a, const Row& b) {
    return std::tie(b.change.differs, a.partition, a.change.path) < std::tie(a.change.differs, b.partition, b.change.path);
  }
  std::size_t limit_;
  std::array<std::size_t, 3> counts_{};
  std::vector<Row> rows_;
};

json::object to_json(const chunker::PartitionDiff& part) {
  return {{"before", part.before.bytes},
          {"after", part.after.bytes},
          {"same", part.same.bytes},
          {"shared", part.shared.bytes},
          {"new", part.fresh.bytes}};
}

json::object to_json(const Row& row) {
  json::array what;
  for (const auto& word : row.change.what) what.emplace_back(word);
  return {{"partition", row.partition},         {"change", name_of(row.change.kind)},
          {"path", printable(row.change.path)}, {"what", std::move(what)},
          {"before", row.change.before.bytes},  {"after", row.change.after.bytes},
          {"differs", row.change.differs.bytes}};
}

void print_bytes(std::string_view name, const chunker::PartitionDiff& part) {
  print(fmt::format("{:<14} {:>10} → {:>10}   {:>10} in place  {:>10} elsewhere  {:>10} new", name,
                    human_size(part.before.bytes), human_size(part.after.bytes), human_size(part.same.bytes),
                    human_size(part.shared.bytes), human_size(part.fresh.bytes)));
}

void print_row(const Row& row) {
  const std::string what = row.change.what.empty() ? "" : fmt::format("  ({})", fmt::join(row.change.what, ", "));
  print(fmt::format("{:<8} {:>3} {:>10}  {}{}", name_of(row.change.kind), row.partition,
                    human_size(row.change.differs.bytes), printable(row.change.path), what));
}

void print_result(const Arguments& arguments, const service::ImageDiff& diff, Rows rows) {
  for (const auto& part : diff.bytes.partitions)
    if (part.before != Size{} || part.after != Size{})
      print_bytes(part.partition == 0 ? "outside" : fmt::format("partition {}", part.partition), part);
  print_bytes("all", diff.bytes.total());
  for (const auto& why : diff.unseen) note("not compared by file: " + why);
  if (arguments.summary) return;
  using Kind = service::FileChange::Kind;
  const std::string counts = fmt::format("{} files added, {} removed, {} changed", rows.count(Kind::added),
                                         rows.count(Kind::removed), rows.count(Kind::changed));
  const std::size_t count = rows.count();
  const auto shown = std::move(rows).sorted();
  for (const Row& row : shown) print_row(row);
  note(counts + (shown.size() < count ? fmt::format("; the {} largest are shown, --all shows all", shown.size()) : ""));
}

void print_result_json(const service::Found& before, const service::Found& after, const service::ImageDiff& diff,
                       Rows rows) {
  const auto image = [](const service::Found& one) {
    return json::object{{"name", one.record.name.text()}, {"image", chunker::to_string(one.record.image)}};
  };
  json::array partitions, unseen, files;
  for (const auto& part : diff.bytes.partitions) {
    json::object one{{"number", part.partition}};
    for (auto& [key, value] : to_json(part)) one[key] = std::move(value);
    partitions.emplace_back(std::move(one));
  }
  for (const auto& why : diff.unseen) unseen.emplace_back(why);
  using Kind = service::FileChange::Kind;
  const json::object counts{
      {"added", rows.count(Kind::added)}, {"removed", rows.count(Kind::removed)}, {"changed", rows.count(Kind::changed)}};
  for (const Row& row : std::move(rows).sorted()) files.emplace_back(to_json(row));
  print_json(json::object{{"before", image(before)},
                          {"after", image(after)},
                          {"total", to_json(diff.bytes.total())},
                          {"gone", diff.bytes.gone.bytes},
                          {"partitions", std::move(partitions)},
                          {"counts", counts},
                          {"files", std::move(files)},
                          {"not_compared", std::move(unseen)}});
}

Result<service::Found> find(cache::Store& store, const std::string& text) {
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(text));
  return service::find_image(store, name);
}

Result<> run(const Arguments& arguments) {
  catch_signals();
  STAMPEDE_TRY(const auto store, open_store(arguments.store));
  STAMPEDE_TRY(const auto before, find(*store, arguments.before));
  STAMPEDE_TRY(const auto after, find(*store, arguments.after));
  Rows rows(arguments.all ? SIZE_MAX : arguments.limit);
  service::ImageDiffOptions options;
  options.files = !arguments.summary;
  options.interrupted = [] { return stop_requested().load(); };
  options.each = [&](unsigned partition, service::FileChange change) { rows.add(partition, std::move(change)); };
  STAMPEDE_TRY(const auto diff, service::diff_images(*store, before, after, options));
  if (arguments.as_json)
    print_result_json(before, after, diff, std::move(rows));
  else
    print_result(arguments, diff, std::move(rows));
  if (!arguments.exit_code || before.record.image == after.record.image) return {};
  return fail(Code::drifted, "{} and {} differ", arguments.before, arguments.after);
}

}  // namespace

void add_image_diff(CLI::App& image, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = image.add_subcommand(
      "diff",
      "Says what differs between two images in this machine's store: bytes by partition, and files where both are ext4");
  command->add_option("BEFORE", arguments->before, "NAME:TAG")->required();
  command->add_option("AFTER", arguments->after, "NAME:TAG")->required();
  command->add_flag("--summary", arguments->summary, "Bytes alone; reads no more than the two manifests");
  command->add_flag("--all", arguments->all, "Every file that differs, not the largest alone; takes memory for each");
  command->add_option("--limit", arguments->limit, "So many of them")->capture_default_str();
  command->add_flag("--exit-code", arguments->exit_code, "End with 3 where the images differ");
  command->add_flag("--json", arguments->as_json, "As JSON on stdout");
  command->footer(
      "\"in place\", \"elsewhere\" and \"new\" say where AFTER's data is in BEFORE; what is new is what a machine that has "
      "BEFORE\n"
      "fetches. Files are compared by content, mode, owner, extended attributes and link; times do not count.\n"
      "Example: stampede image diff debian:12 debian:12-generic");
  add_store_option(*command, arguments->store);
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace stampede::tools
