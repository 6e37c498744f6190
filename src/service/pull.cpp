#include "src/service/pull.h"

#include <algorithm>

#include "chunker/package.h"
#include "chunker/seal.h"
#include "src/deploy/tag_signature.h"
#include "src/service/library.h"
#include "src/service/pull_inbox.h"
#include "src/service/site.h"

namespace stampede::service {

namespace {

bool holds(const std::vector<trust::PublicKey>& keys, const trust::PublicKey& key) {
  return std::ranges::find(keys, key) != keys.end();
}

// The other depot's record, and whether its signer has still to be accepted here.
struct Offered {
  chunker::SignedTagRecord signed_record;
  chunker::TagRecord record;
  bool new_signer = false;
};

Result<Offered> resolve(cache::Store& store, deploy::Access& access, const PullOptions& options) {
  Offered offered;
  STAMPEDE_TRY(offered.signed_record, access.node()->resolve(options.image));
  const trust::PublicKey& signer = offered.signed_record.signer;
  STAMPEDE_TRY(const auto accepted, accepted_signers(store.folder()));
  offered.new_signer = !holds(accepted, signer);
  if (offered.new_signer && !holds(access.enrolment().signers, signer) && !holds(options.accept, signer))
    return fail(
        Code::signer_unknown,
        "{} is signed by {}, whom neither this store nor the join token names; if that is right, say --accept-signer {}",
        options.image.text(), trust::short_name(signer), trust::to_string(signer));
  STAMPEDE_CHECK(deploy::check_signature(offered.signed_record));
  STAMPEDE_TRY(offered.record, chunker::decode_tag_record(offered.signed_record.record));
  if (offered.record.name != options.image)
    return fail(Code::content_altered, "the depot sent the record of {} for {}", offered.record.name.text(),
                options.image.text());
  return offered;
}

Result<> check_name(cache::Store& store, const PullOptions& options, const chunker::ImageId& image) {
  const chunker::ImageName name = options.as.value_or(options.image);
  STAMPEDE_TRY(const auto taken, store.catalog().find_tag(name));
  if (!taken || taken->image == image || options.move) return {};
  return fail(Code::tag_taken, "{} is already image {} here; pull it --as another name, or let that one --move", name.text(),
              chunker::to_string(taken->image));
}

// The manifest's records: from the store, else from the depot and then into the store. The root comes last, with
// keep_root().
class Records final : public chunker::ChunkSource {
 public:
  Records(cache::Store& store, cache::ImportSession& session, net::Node& node, const chunker::ImageId& image)
      : store_(store), session_(session), node_(node), root_(chunker::as_chunk(image)) {}

  Result<chunker::SealedChunk> get(const chunker::ChunkId& id) override {
    if (session_.has(id))
      if (auto here = store_.chunks().get(id)) return here;
    STAMPEDE_TRY(auto chunks, node_.fetch({id}));
    chunker::SealedChunk& chunk = chunks.front();
    if (chunk.plain_size > chunker::kMaxObject.bytes)
      return fail(Code::content_altered, "the depot sent a record of {} bytes", chunk.plain_size);
    Bytes plain(chunk.plain_size);
    STAMPEDE_CHECK(opener_.open({id, chunk.codec, chunk.plain_size, chunk.bytes}, plain));
    chunk.id = id;
    fetched += Size{chunk.bytes.size()};
    if (id == root_)
      kept_root_ = chunk;
    else
      STAMPEDE_CHECK(session_.put(chunk));
    return std::move(chunk);
  }
  bool has(const chunker::ChunkId& /*id*/) override { return true; }
  Result<> keep_root() { return kept_root_ ? session_.put(*std::move(kept_root_)) : Result<>(); }

  Size fetched;

 private:
  cache::Store& store_;
  cache::ImportSession& session_;
  net::Node& node_;
  const chunker::ChunkId root_;
  std::optional<chunker::SealedChunk> kept_root_;
  chunker::Opener opener_;
};

// What the node delivers to outlives it.
struct Receiving {
  std::vector<chunker::Span> spans;
  std::optional<PullInbox> inbox;
};

Result<> fetch_chunks(Receiving& receiving, cache::ImportSession& session, net::Node& node, const PullOptions& options,
                      const chunker::ImageId& image, Pulled& pulled) {
  Wanted wanted = wanted_of(receiving.spans, session);
  pulled.data = wanted.data;
  pulled.lacking = wanted.lacking;
  options.progress({}, wanted.lacking);
  if (wanted.held.full()) return {};
  PullInbox& inbox = receiving.inbox.emplace(receiving.spans, session, node);
  STAMPEDE_CHECK(node.join({.image = image,
                            .span_count = wanted.held.size(),
                            .have = wanted.held,
                            .credit = 0,
                            .inbox = &inbox,
                            .held = &inbox}));
  node.hold_parts(std::move(wanted.lacks));
  node.set_credit(kPullCredit);
  auto complete = node.wait_complete([&](const net::SwarmStatus&) {
    options.progress(inbox.packed(), wanted.lacking);
    return !options.stopped() && !inbox.failed();
  });
  inbox.stop();
  pulled.fetched += inbox.fetched();
  if (const auto failed = inbox.failed()) return pass(*failed);
  return complete;
}

// The record under its own name as it was signed; under another one this store speaks for it.
Result<chunker::SignedTagRecord> record_for(cache::Store& store, const PullOptions& options, const Offered& offered,
                                            chunker::TagRecord& record) {
  if (!options.as || *options.as == offered.record.name) return offered.signed_record;
  record.name = *options.as;
  STAMPEDE_TRY(const auto key, open_signing_key(store.folder()));
  return deploy::sign(record, key);
}

Result<> add(cache::Store& store, const PullOptions& options, const Offered& offered, Pulled& pulled) {
  pulled.record = offered.record;
  STAMPEDE_TRY(const auto signed_record, record_for(store, options, offered, pulled.record));
  if (offered.new_signer && signed_record.signer == offered.signed_record.signer) {
    STAMPEDE_TRY(const bool added, accept_signer(store.folder(), signed_record.signer));
    if (added) {
      pulled.new_signer = signed_record.signer;
      STAMPEDE_CHECK(store.catalog().audit("operator", "accept signer", trust::to_string(signed_record.signer)));
    }
  }
  STAMPEDE_TRY(pulled.tagged, store.catalog().add_tag(pulled.record, signed_record,
                                                      options.move ? cache::Naming::move : cache::Naming::keep));
  return store.catalog().audit("operator", "image pull",
                               fmt::format("{} {} from {}", pulled.record.name.text(),
                                           chunker::to_string(pulled.record.image), options.depot.text()));
}

}  // namespace

Result<Pulled> pull_image(cache::Store& store, const PullOptions& options) {
  Receiving receiving;
  STAMPEDE_TRY(auto access, deploy::Access::open(options));
  STAMPEDE_CHECK(access.connect());
  STAMPEDE_TRY(const Offered offered, resolve(store, access, options));
  const chunker::ImageId& image = offered.record.image;
  STAMPEDE_CHECK(check_name(store, options, image));
  STAMPEDE_TRY(const auto session, store.begin_import());
  Pulled pulled;
  Records records(store, *session, *access.node(), image);
  {
    STAMPEDE_TRY(const auto manifest, chunker::load_manifest(records, image));
    if (manifest.root.disk_size != offered.record.disk_size)
      return fail(Code::content_altered, "the manifest of {} is not what its tag record says", options.image.text());
    receiving.spans = manifest.spans();
  }
  auto fetched = fetch_chunks(receiving, *session, *access.node(), options, image, pulled);
  pulled.fetched += records.fetched;
  if (fetched) fetched = records.keep_root();
  auto kept = session->commit();  // what came stays, also where not all did
  STAMPEDE_CHECK(fetched);
  STAMPEDE_CHECK(kept);
  STAMPEDE_CHECK(add(store, options, offered, pulled));
  return pulled;
}

}  // namespace stampede::service
