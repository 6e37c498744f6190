// The signature of a tag record: over its exact bytes, under trust::kTagRecordDomain. Who may sign is the caller's to know.
#pragma once

#include "chunker/tag_record.h"
#include "src/trust/keys.h"

namespace stampede::deploy {

chunker::SignedTagRecord sign(const chunker::TagRecord& record, const trust::PrivateKey& key);
// Whether the signer that it names has signed it. Error: signature_invalid.
Result<> check_signature(const chunker::SignedTagRecord& signed_record);

}  // namespace stampede::deploy
