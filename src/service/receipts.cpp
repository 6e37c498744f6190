#include "src/service/receipts.h"

#include "src/trust/keys.h"

namespace stampede::service {

Result<deploy::Receipt> read_receipt(const cache::ReceiptRow& row) {
  const std::string name = fmt::format("receipt {}", row.number);
  if (const auto sound = trust::verify(row.node, trust::kReceiptDomain, row.receipt, row.signature); !sound)
    return pass(sound.error(), name);
  auto receipt = deploy::decode_receipt(row.receipt);
  if (!receipt) return pass(receipt.error(), name);
  if (receipt->node != trust::to_string(row.node) || deploy::name_of(receipt->verdict) != row.verdict)
    return fail(Code::store_damaged, "{}: the catalog says something else of it than the receipt itself", name);
  return receipt;
}

}  // namespace stampede::service
