// The catalog's tags, as SQL. Used by catalog.cpp alone, which holds its lock and the transaction of what writes.
#pragma once

#include "cache/catalog.h"
#include "cache/catalog_sql.h"

namespace stampede::cache {

class TagTable {
 public:
  TagTable(Database& database, Clock& clock) : database_(database), clock_(clock) {}

  Result<bool> add(const chunker::TagRecord& decoded, const chunker::SignedTagRecord& record, Naming naming);
  Result<std::optional<TagRow>> find(const chunker::ImageRef& image);
  Result<std::vector<TagRow>> current();
  Result<std::vector<TagRow>> history(const chunker::ImageName& name);
  Result<std::vector<chunker::ImageId>> live_images();
  Result<std::vector<TagRow>> remove(const chunker::ImageRef& image, bool history);

 private:
  Result<std::optional<TagRow>> find_name(const chunker::ImageRef& image);
  Result<std::optional<TagRow>> find_id(const chunker::ImageRef& image);
  Result<> only_one(const chunker::ImageRef& image);
  Result<> insert(const chunker::TagRecord& decoded, const chunker::SignedTagRecord& record);

  Database& database_;
  Clock& clock_;
};

}  // namespace stampede::cache
