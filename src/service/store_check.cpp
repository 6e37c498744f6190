#include "src/service/store_check.h"

#include <unordered_set>

#include "src/deploy/receipt.h"
#include "src/service/library.h"
#include "src/trust/keys.h"

namespace stampede::service {

namespace {

void check_receipts(cache::Store& store, std::vector<std::string>& problems) {
  const auto rows = store.catalog().list_receipts();
  if (!rows) return problems.push_back(rows.error().message);
  for (const auto& row : *rows) {
    const auto bad = [&](std::string_view why) { problems.push_back(fmt::format("receipt {}: {}", row.number, why)); };
    if (const auto sound = trust::verify(row.node, trust::kReceiptDomain, row.receipt, row.signature); !sound)
      bad(sound.error().message);
    else if (const auto receipt = deploy::decode_receipt(row.receipt); !receipt)
      bad(receipt.error().message);
    else if (receipt->node != trust::to_string(row.node) || deploy::name_of(receipt->verdict) != row.verdict)
      bad("the catalog says something else of it than the receipt itself");
  }
}

}  // namespace

Result<StoreReport> check_store(cache::Store& store, const std::function<void(Size done, Size total)>& progress) {
  StoreReport report;
  STAMPEDE_TRY(report.packs, store.check_packs(progress));
  report.problems = report.packs.problems;
  STAMPEDE_TRY(const auto catalog, store.catalog().check());
  report.problems.insert(report.problems.end(), catalog.begin(), catalog.end());
  check_receipts(store, report.problems);
  STAMPEDE_TRY(auto records, store.catalog().list_tags());
  std::unordered_set<chunker::ChunkId> seen;
  for (auto& record : records) {
    ++report.images;
    auto image = verify(store, std::move(record));
    if (!image) {
      report.problems.push_back(image.error().message);
      continue;
    }
    if (!seen.insert(chunker::as_chunk(image->record.image)).second) continue;
    if (auto whole = check_whole(store, *image); !whole)
      report.problems.push_back(fmt::format("image {}: {}", image->record.name.text(), whole.error().message));
  }
  return report;
}

}  // namespace stampede::service
