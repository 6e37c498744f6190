#include "src/service/naming.h"

#include <algorithm>
#include <set>

#include "src/base/text.h"
#include "src/deploy/tag_signature.h"
#include "src/service/library.h"
#include "src/service/site.h"

namespace stampede::service {

namespace {

// Every image that has a name, read once; others as they are asked for.
class Family {
 public:
  static Result<Family> of(cache::Store& store) {
    STAMPEDE_TRY(auto list, list_images(store));
    Family family(store);
    for (const auto& [record, signed_record] : list.images) {
      auto& [relative, parent] = family.members_[record.image];
      relative.names.push_back(record.name.text());
      if (!parent) parent = record.parent;
    }
    for (auto& [image, member] : family.members_) member.relative.image = image;
    return family;
  }

  struct Member {
    Relative relative;
    std::optional<chunker::ImageId> parent;
  };
  Result<Member> member(const chunker::ImageId& image) const {
    if (const auto found = members_.find(image); found != members_.end()) return found->second;
    Member out{{image, {}}, {}};
    chunker::ImageRef ref;
    ref.id = chunker::to_string(image);
    STAMPEDE_TRY(auto row, store_->catalog().find_tag(ref));
    if (!row) return out;
    if (const auto found = decode(*std::move(row))) {
      out.parent = found->record.parent;
      out.relative.names.push_back(fmt::format("{}@{:.16}", found->record.name.name, ref.id));
    }
    return out;
  }
  std::vector<Relative> children(const chunker::ImageId& image) const {
    std::vector<Relative> out;
    for (const auto& [id, member] : members_)
      if (member.parent == image) out.push_back(member.relative);
    return out;
  }

 private:
  explicit Family(cache::Store& store) : store_(&store) {}
  cache::Store* store_;
  std::map<chunker::ImageId, Member> members_;
};

bool same_words(const chunker::TagRecord& a, const chunker::TagRecord& b) {
  return a.parent == b.parent && a.roles == b.roles && a.labels == b.labels;
}

void say_again(const chunker::TagRecord& what, chunker::TagRecord& of) {
  of.parent = what.parent;
  of.roles = what.roles;
  of.labels = what.labels;
}

}  // namespace

Result<> add_label(std::string_view text, Words& words) {
  const std::size_t equals = text.find('=');
  const std::string_view key = text.substr(0, equals), value = equals == text.npos ? "" : text.substr(equals + 1);
  if (equals == text.npos || !chunker::is_label(key, value))
    return fail(Code::usage,
                "'{}' is no label: write KEY=VALUE; a key has 1 to {} of a-z A-Z 0-9 . _ - / (first a letter or digit), a "
                "value up to {} bytes of text",
                printable(text.substr(0, 80)), chunker::kMaxLabelKey, chunker::kMaxLabelValue);
  words.labels[std::string(key)] = value;
  return {};
}

Result<chunker::TagRecord> with_words(chunker::TagRecord record, const Words& words) {
  for (const std::string& role : words.roles)
    if (!chunker::is_name_part(role))
      return fail(Code::usage, "'{}' is no role: it has 1 to 63 of a-z 0-9 . _ - and begins with a letter or digit",
                  printable(role.substr(0, 80)));
  if (words.parent) record.parent = words.parent;
  if (!words.roles.empty()) record.roles = words.roles;
  for (const auto& [key, value] : words.labels)
    value.empty() ? (void)record.labels.erase(key) : (void)record.labels.insert_or_assign(key, value);
  if (record.roles.size() > chunker::kMaxRoles || record.labels.size() > chunker::kMaxLabels)
    return fail(Code::usage, "{} would have {} roles and {} labels; it may have {} and {}", record.name.text(),
                record.roles.size(), record.labels.size(), chunker::kMaxRoles, chunker::kMaxLabels);
  return record;
}

Result<Tagged> give_name(cache::Store& store, chunker::TagRecord record, const Words& words, const trust::PrivateKey& key) {
  STAMPEDE_TRY(auto taken, store.catalog().find_tag(record.name));
  Tagged out;
  if (taken) out.before = taken->image;
  const bool same = taken && taken->image == record.image;
  cache::Naming naming = words.move ? cache::Naming::move : cache::Naming::keep;
  if (same) {
    STAMPEDE_TRY(const auto now, decode(*std::move(taken)));
    say_again(now.record, record);
    STAMPEDE_TRY(out.record, with_words(std::move(record), words));
    naming = same_words(now.record, out.record) ? cache::Naming::keep : cache::Naming::restate;
  } else {
    STAMPEDE_TRY(out.record, with_words(std::move(record), words));
  }
  if (out.record.parent == out.record.image) out.record.parent.reset();
  out.record.tagged = to_rfc3339(system_clock().unix_time());
  STAMPEDE_TRY(out.changed, store.catalog().add_tag(out.record, deploy::sign(out.record, key), naming));
  return out;
}

Result<Tagged> tag_image(cache::Store& store, const chunker::ImageRef& source, const chunker::ImageName& target,
                         const Words& words) {
  STAMPEDE_TRY(auto found, hold_image(store, source));
  STAMPEDE_TRY(const auto key, open_signing_key(store.folder()));
  found.record.name = target;
  STAMPEDE_TRY(auto out, give_name(store, std::move(found.record), words, key));
  if (out.changed)
    STAMPEDE_CHECK(
        store.catalog().audit("operator", "image tag", target.text() + " " + chunker::to_string(out.record.image)));
  return out;
}

Result<Removed> remove_image(cache::Store& store, const chunker::ImageRef& image, bool history) {
  Removed out;
  STAMPEDE_TRY(out.records, store.catalog().remove_tags(image, history, "operator"));
  if (!image.exact()) {
    STAMPEDE_TRY(const auto kept, store.catalog().tag_history({image.name, image.tag}));
    out.history = kept.size();
  }
  if (out.records.empty())
    return fail(Code::not_found, "no image {} in {}{}", image.text(), store.folder().string(),
                out.history > 0 ? "; --history forgets what it was once" : "; `stampede image list` shows what is");
  STAMPEDE_TRY(const auto live, store.catalog().live_images());
  std::set<chunker::ImageId> gone;
  for (const auto& row : out.records)
    if (!std::ranges::binary_search(live, row.image)) gone.insert(row.image);
  out.unreferred_to.assign(gone.begin(), gone.end());
  return out;
}

Result<Lineage> lineage(cache::Store& store, const chunker::TagRecord& record) {
  STAMPEDE_TRY(const auto family, Family::of(store));
  Lineage out;
  STAMPEDE_TRY(const auto self, family.member(record.image));
  out.names = self.relative.names;
  out.children = family.children(record.image);
  std::set<chunker::ImageId> seen{record.image};  // records may say what cannot be
  auto parent = record.parent;
  while (parent && out.ancestors.size() < kMaxAncestors && seen.insert(*parent).second) {
    STAMPEDE_TRY(auto next, family.member(*parent));
    out.ancestors.push_back(std::move(next.relative));
    parent = next.parent;
  }
  return out;
}

}  // namespace stampede::service
