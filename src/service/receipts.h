// Receipts as the catalog keeps them.
#pragma once

#include "cache/catalog.h"
#include "src/deploy/receipt.h"

namespace stampede::service {

// What a row holds, where its node has signed it and the row says the same of it. Errors, naming the receipt:
// signature_invalid, content_altered, store_damaged.
Result<deploy::Receipt> read_receipt(const cache::ReceiptRow& row);

}  // namespace stampede::service
