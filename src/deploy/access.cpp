#include "src/deploy/access.h"

#include <algorithm>

#include "src/base/text.h"
#include "src/deploy/tag_signature.h"

namespace stampede::deploy {

namespace {

// A manifest's records, fetched from the depot as they are asked for.
class DepotObjects final : public chunker::ChunkSource {
 public:
  explicit DepotObjects(net::Node& node) : node_(node) {}
  Result<chunker::SealedChunk> get(const chunker::ChunkId& id) override {
    STAMPEDE_TRY(auto chunks, node_.fetch({id}));
    return std::move(chunks.front());
  }
  bool has(const chunker::ChunkId& /*id*/) override { return true; }

 private:
  net::Node& node_;
};

// As receipts write them (receipt.h).
std::string text(std::string_view raw, std::size_t most = 512) { return printable(raw.substr(0, most)); }

}  // namespace

bool tells_of(const Receipt& receipt, const disk::Disk& disk, const trust::PublicKey& node) {
  const DiskFacts& was = receipt.disk;
  const bool same = receipt.verdict == Verdict::success && was.guid == text(disk.guid) && was.serial == text(disk.serial) &&
                    was.wwn == text(disk.wwn) && was.size == disk.size.bytes;
  const bool nameless = disk.serial.empty() && disk.wwn.empty();
  return same && (!nameless || (was.path == text(disk.path) && receipt.node == trust::to_string(node)));
}

Result<Access> Access::open(const AccessOptions& options) {
  STAMPEDE_TRY(auto state, NodeState::open(options.state));
  return Access(options, std::move(state));
}

net::Waiting Access::waiting() const {
  return {options_->patience, options_->warn, [options = options_] { return options->stopped(); }};
}

Result<bool> Access::show_token() {
  if (!options_->token) return false;
  STAMPEDE_TRY(enrolment_, state_.enrol_again(*options_->token, options_->depot, waiting()));
  return true;
}

Result<> Access::connect() {
  const net::Waiting waiting = this->waiting();
  STAMPEDE_TRY(enrolment_, state_.enrol(options_->token, options_->depot, waiting));
  Result<> connected = start_node(waiting);
  if (!connected && connected.error().code == Code::peer_untrusted && options_->token) {
    STAMPEDE_TRY(enrolment_, state_.enrol_again(*options_->token, options_->depot, waiting));
    connected = start_node(waiting);
  }
  STAMPEDE_CHECK(connected);
  state_.deliver_unsent(*node_);
  return {};
}

Result<> Access::start_node(const net::Waiting& waiting) {
  node_.reset();  // it may hold the port to listen on
  STAMPEDE_TRY(node_, net::Node::start({options_->depot, enrolment_->identity, enrolment_->site, options_->peer_listen,
                                        waiting, options_->transfer}));
  return node_->wait_for_depot();
}

Result<chunker::TagRecord> Access::resolve(const chunker::ImageRef& image) {
  STAMPEDE_TRY(const auto found, node_->resolve(image));
  if (std::ranges::find(enrolment_->signers, found.signer) == enrolment_->signers.end())
    return fail(Code::signer_unknown,
                "{} is signed by {}, whom this node does not accept; enrol with a token that names this signer",
                image.text(), trust::short_name(found.signer));
  STAMPEDE_CHECK(check_signature(found));
  STAMPEDE_TRY(auto record, chunker::decode_tag_record(found.record));
  if (!image.names(record.name, record.image))
    return fail(Code::content_altered, "the depot sent the record of {}, image {}, for {}", record.name.text(),
                chunker::to_string(record.image), image.text());
  return record;
}

Result<chunker::Manifest> Access::manifest(const chunker::TagRecord& record, const chunker::AcceptRoot& accept) {
  STAMPEDE_TRY(auto manifest, this->manifest(record.image, accept));
  if (manifest.root.disk_size != record.disk_size)
    return fail(Code::content_altered, "the manifest of {} is not what its tag record says", record.name.text());
  return manifest;
}

Result<chunker::Manifest> Access::manifest(const chunker::ImageId& image, const chunker::AcceptRoot& accept) {
  DepotObjects objects(*node_);
  return chunker::load_manifest(objects, image, accept);
}

Result<std::optional<Receipt>> Access::receipt_of(const disk::Disk& disk) {
  auto found = node_->find_receipt({text(disk.guid, 64), text(disk.serial), text(disk.wwn), text(disk.path), disk.size});
  if (!found && (found.error().code == Code::not_found || found.error().code == Code::protocol)) return std::nullopt;
  if (!found) return pass(std::move(found).error());
  STAMPEDE_TRY(auto receipt, decode_receipt(found->receipt));
  const auto key = trust::parse_public_key(receipt.node);
  if (!key) return fail(Code::signature_invalid, "the receipt of {} names no node", disk.path);
  STAMPEDE_CHECK(trust::verify(*key, trust::kReceiptDomain, found->receipt, found->signature));
  // Which one it is asked for is the depot's to find, not to decide.
  if (!tells_of(receipt, disk, state_.key().public_key())) return std::nullopt;
  return receipt;
}

}  // namespace stampede::deploy
