#include "cache/catalog_tags.h"

namespace stampede::cache {
namespace {

using chunker::ImageId;
using chunker::ImageRef;

Result<TagRow> read_tag(const Query& query) {
  TagRow row;
  row.record = query.blob(0);
  STAMPEDE_TRY(row.signer, query.array<32>(1));
  STAMPEDE_TRY(row.signature, query.array<64>(2));
  row.name = {query.text(3), query.text(4)};
  STAMPEDE_TRY(row.image.digest, query.array<32>(5));
  row.added = query.integer(6);
  row.ended = query.integer(7);
  return row;
}

Result<std::vector<TagRow>> read_tags(Result<Query> query) {
  if (!query) return pass(std::move(query).error());
  std::vector<TagRow> all;
  while (true) {
    STAMPEDE_TRY(const bool more, query->next());
    if (!more) return all;
    STAMPEDE_TRY(all.emplace_back(), read_tag(*query));
  }
}

Result<std::optional<TagRow>> read_one(Result<Query> query) {
  if (!query) return pass(std::move(query).error());
  STAMPEDE_TRY(const bool found, query->next());
  if (!found) return std::nullopt;
  return read_tag(*query);
}

}  // namespace

Result<bool> TagTable::add(const chunker::TagRecord& decoded, const chunker::SignedTagRecord& record, Naming naming) {
  STAMPEDE_TRY(const auto taken, find_name(decoded.name));
  if (taken && taken->image != decoded.image && naming != Naming::move)
    return fail(Code::tag_taken, "{} is already image {}; choose another tag, or move it with --move", decoded.name.text(),
                chunker::to_string(taken->image));
  if (taken && taken->image == decoded.image && taken->signer == record.signer && naming != Naming::restate) return false;
  STAMPEDE_CHECK(insert(decoded, record));
  return true;
}

Result<> TagTable::insert(const chunker::TagRecord& decoded, const chunker::SignedTagRecord& record) {
  const auto& [name, tag] = decoded.name;
  const UnixTime now = std::max<UnixTime>(clock_.unix_time(), 1);  // 0: not ended
  const ByteView parent = decoded.parent ? ByteView(decoded.parent->digest) : ByteView{};
  STAMPEDE_CHECK(database_.run("UPDATE tags SET ended = ?3 WHERE name = ?1 AND tag = ?2 AND ended = 0", name, tag, now));
  return database_.run(
      "INSERT INTO tags (name, tag, image, parent, record, signer, signature, added, number) VALUES (?1, ?2, ?3, ?4, ?5, "
      "?6, ?7, ?8, (SELECT ifnull(max(number), 0) + 1 FROM tags WHERE name = ?1 AND tag = ?2))",
      name, tag, decoded.image.digest, parent, record.record, record.signer, record.signature, now);
}

Result<std::optional<TagRow>> TagTable::find(const ImageRef& image) {
  return image.exact() ? find_id(image) : find_name(image);
}

Result<std::optional<TagRow>> TagTable::find_name(const ImageRef& image) {
  return read_one(
      database_.query("SELECT record, signer, signature, name, tag, image, added, ended FROM tags "
                      "WHERE name = ?1 AND tag = ?2 AND ended = 0",
                      image.name, image.tag));
}

// What still has a name first, then the newest.
Result<std::optional<TagRow>> TagTable::find_id(const ImageRef& image) {
  STAMPEDE_CHECK(only_one(image));
  const auto [first, last] = image.ids();
  return read_one(
      database_.query("SELECT record, signer, signature, name, tag, image, added, ended FROM tags "
                      "WHERE image BETWEEN ?1 AND ?2 AND (?3 = '' OR name = ?3) "
                      "ORDER BY ended <> 0, added DESC, name, tag, number DESC LIMIT 1",
                      first.digest, last.digest, image.name));
}

Result<> TagTable::only_one(const ImageRef& image) {
  const auto [first, last] = image.ids();
  STAMPEDE_TRY(Query query, database_.query("SELECT count(DISTINCT image) FROM tags "
                                            "WHERE image BETWEEN ?1 AND ?2 AND (?3 = '' OR name = ?3)",
                                            first.digest, last.digest, image.name));
  STAMPEDE_TRY(const bool counted, query.next());
  if (counted && query.integer(0) > 1)
    return fail(Code::usage, "{} may be any of {} images; give more digits of its id", image.text(), query.integer(0));
  return {};
}

Result<std::vector<TagRow>> TagTable::current() {
  return read_tags(
      database_.query("SELECT record, signer, signature, name, tag, image, added, ended FROM tags "
                      "WHERE ended = 0 ORDER BY name, tag"));
}

Result<std::vector<TagRow>> TagTable::history(const chunker::ImageName& name) {
  return read_tags(
      database_.query("SELECT record, signer, signature, name, tag, image, added, ended FROM tags "
                      "WHERE name = ?1 AND tag = ?2 ORDER BY number",
                      name.name, name.tag));
}

Result<std::vector<ImageId>> TagTable::live_images() {
  STAMPEDE_TRY(Query query, database_.query("SELECT DISTINCT image FROM tags ORDER BY image"));
  std::vector<ImageId> all;
  while (true) {
    STAMPEDE_TRY(const bool more, query.next());
    if (!more) return all;
    STAMPEDE_TRY(all.emplace_back().digest, query.array<32>(0));
  }
}

Result<std::vector<TagRow>> TagTable::remove(const ImageRef& image, bool history) {
  if (!image.exact())
    return read_tags(
        database_.query("DELETE FROM tags WHERE name = ?1 AND tag = ?2 AND (ended = 0 OR ?3) "
                        "RETURNING record, signer, signature, name, tag, image, added, ended",
                        image.name, image.tag, std::int64_t{history}));
  STAMPEDE_CHECK(only_one(image));
  const auto [first, last] = image.ids();
  return read_tags(
      database_.query("DELETE FROM tags WHERE image BETWEEN ?1 AND ?2 AND (?3 = '' OR name = ?3) "
                      "RETURNING record, signer, signature, name, tag, image, added, ended",
                      first.digest, last.digest, image.name));
}

}  // namespace stampede::cache
