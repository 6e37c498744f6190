#include "src/volume/ids.h"
#include "src/base/text.h"

#include <algorithm>
#include <array>

namespace stampede::volume {

namespace {

constexpr std::size_t kDash = 8;  // where the first one stands in every form that is looked for

bool is_word(char c) { return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z'); }

// RFC 4122 §4.4.
std::string random_uuid(Random& random) {
  std::array<std::byte, 16> raw{};
  random.fill(raw);
  raw[6] = (raw[6] & std::byte{0x0f}) | std::byte{0x40};
  raw[8] = (raw[8] & std::byte{0x3f}) | std::byte{0x80};
  std::string out = to_hex(raw);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) out.insert(at, "-");
  return out;
}

std::string random_mbr_id(Random& random) {
  std::array<std::byte, 4> raw{};
  random.fill(raw);
  raw[0] |= std::byte{1};  // zero is none
  return to_hex(raw);
}

void add(NewIds& ids, const std::string& old, Random& random) {
  if (old.size() == kLongestId && !ids.contains(old)) ids[old] = random_uuid(random);
}

// Calls found(offset, id) for each mention.
template <class Found>
void search(std::string_view text, const NewIds& ids, Found&& found) {
  for (std::size_t dash = text.find('-'); dash != text.npos; dash = text.find('-', dash + 1)) {
    if (dash < kDash) continue;
    const std::size_t at = dash - kDash;
    if (at > 0 && is_word(text[at - 1])) continue;
    for (const auto& [old, fresh] : ids) {
      if (old.size() <= kDash || text.size() - at < old.size()) continue;
      const std::size_t end = at + old.size();
      if (end < text.size() && is_word(text[end])) continue;
      if (!std::ranges::equal(text.substr(at, old.size()), old, {}, lower)) continue;
      found(at, fresh);
    }
  }
}

}  // namespace

bool has_changeable_uuid(const PartitionFacts& partition) {
  return partition.uuid.size() == kLongestId && (is_ext(partition.filesystem) || partition.filesystem == "swap");
}

NewIds fresh_ids(const ImageFacts& facts, Random& random) {
  NewIds out;
  add(out, facts.disk_guid, random);
  if (facts.table == "dos" && facts.disk_guid.size() == kDash) {
    const std::string id = out[facts.disk_guid] = random_mbr_id(random);
    for (const PartitionFacts& partition : facts.partitions)
      out[fmt::format("{}-{:02x}", facts.disk_guid, partition.number)] = fmt::format("{}-{:02x}", id, partition.number);
  }
  for (const PartitionFacts& partition : facts.partitions) {
    add(out, partition.guid, random);
    if (has_changeable_uuid(partition)) add(out, partition.uuid, random);
  }
  return out;
}

bool mentions(ByteView bytes, const NewIds& ids) {
  bool out = false;
  search(as_text(bytes), ids, [&](std::size_t, const std::string&) { out = true; });
  return out;
}

std::string with_new_ids(std::string text, const NewIds& ids) {
  const std::string before = text;
  search(before, ids, [&](std::size_t at, const std::string& fresh) { text.replace(at, fresh.size(), fresh); });
  return text;
}

}  // namespace stampede::volume
