#include "src/deploy/tag_signature.h"

namespace stampede::deploy {

chunker::SignedTagRecord sign(const chunker::TagRecord& record, const trust::PrivateKey& key) {
  chunker::SignedTagRecord signed_record{chunker::encode(record), key.public_key(), {}};
  signed_record.signature = key.sign(trust::kTagRecordDomain, signed_record.record);
  return signed_record;
}

Result<> check_signature(const chunker::SignedTagRecord& signed_record) {
  return trust::verify(signed_record.signer, trust::kTagRecordDomain, signed_record.record, signed_record.signature);
}

}  // namespace stampede::deploy
