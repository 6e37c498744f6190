// The check of a whole store: what `stampede store check` does, without its printing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cache/store.h"

namespace stampede::service {

// Every chunk re-hashed, every manifest read and every chunk that it names looked up, the signatures of all records and
// receipts checked, and the catalog's file.
struct StoreReport {
  cache::StoreCheck packs;
  std::uint64_t images = 0;
  std::vector<std::string> problems;  // of packs, manifests, records, receipts, the catalog
};
Result<StoreReport> check_store(cache::Store& store, const std::function<void(Size done, Size total)>& progress);

}  // namespace stampede::service
