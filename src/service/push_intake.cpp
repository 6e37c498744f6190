#include "src/service/push_intake.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "chunker/package.h"
#include "chunker/tag_record.h"
#include "src/deploy/tag_signature.h"
#include "src/service/library.h"
#include "src/service/site.h"

namespace stampede::service {

namespace {

// Before anything is sent: what would be refused at the end.
Result<> check_name(cache::Store& store, const chunker::ImageName& name, const wire::PushStart& start) {
  STAMPEDE_TRY(const auto taken, store.catalog().find_tag(name));
  if (!taken || start.move || taken->image.digest == start.image) return {};
  return fail(Code::tag_taken, "{} is already image {} there; choose another tag, or let it move with --move", name.text(),
              chunker::to_string(taken->image));
}

}  // namespace

PushIntake::PushIntake(cache::Store& store, const trust::PublicKey& node, wire::PushStart start, Size reserve)
    : store_(store), node_(node), start_(std::move(start)), reserve_(reserve), plain_(wire::kMaxPushBytes) {}

void PushIntake::end() {
  if (!session_) return;
  if (auto kept = session_->commit(); !kept) spdlog::warn("what was pushed is not kept: {}", kept.error().message);
  session_.reset();
  offered_.clear();
}

Result<std::shared_ptr<PushIntake>> PushIntake::start(cache::Store& store, const trust::PublicKey& node,
                                                      const wire::PushStart& start, Size reserve) {
  STAMPEDE_TRY(const bool may, store.catalog().may_push(node));
  if (!may)
    return fail(Code::not_permitted, "node {} may not push images; give it a token made with `stampede token create --push`",
                trust::short_name(node));
  STAMPEDE_TRY(const auto name, chunker::ImageName::parse(start.name + ":" + start.tag));
  STAMPEDE_CHECK(check_name(store, name, start));
  if (start.sign && !find_signing_key(store.folder()))
    return fail(Code::signer_unknown,
                "this depot has no key that signs images; push from a machine whose store has one, or import an image here");
  std::shared_ptr<PushIntake> intake(new PushIntake(store, node, start, reserve));
  STAMPEDE_CHECK(intake->check_room({}));
  STAMPEDE_TRY(intake->session_, store.begin_import());
  return intake;
}

Result<> PushIntake::check_room(Size more) const {
  std::error_code error;
  const auto space = std::filesystem::space(store_.folder(), error);
  if (error || space.available >= reserve_.bytes + more.bytes) return {};
  return fail(Code::no_space, "the depot's store has {} left, and {} have to stay free; make room there",
              human_size(space.available), human_size(reserve_.bytes));
}

template <class Step>
Result<wire::Message> PushIntake::step(Step step) {
  if (broken_) return pass(*broken_);
  if (!session_) return fail(Code::protocol, "the push is over");
  Result<wire::Message> answer = step();
  if (answer) return answer;
  broken_ = answer.error();
  end();  // what came before the error is as good as ever
  return answer;
}

Result<wire::Message> PushIntake::offer(const wire::PushOffer& offer) {
  return step([&]() -> Result<wire::Message> {
    wire::PushLacks lacks{static_cast<std::uint32_t>(offer.ids.size()), Bytes((offer.ids.size() + 7) / 8)};
    std::vector<chunker::ChunkId> ids;
    ids.reserve(offer.ids.size());
    for (const wire::Digest& id : offer.ids) ids.push_back({id});
    const std::vector<bool> known = session_->have(ids);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (known[i]) continue;
      offered_.insert(ids[i]);
      lacks.lacks[i / 8] |= static_cast<std::byte>(1U << (i % 8));
    }
    if (offered_.size() > kMaxOffered)
      return fail(Code::protocol, "more than {} chunks were offered and not sent", kMaxOffered);
    return lacks;
  });
}

Result<wire::Message> PushIntake::take(const wire::PushChunks& chunks) {
  return step([&]() -> Result<wire::Message> {
    STAMPEDE_CHECK(check_room({chunks.bytes.size()}));
    kept_ = 0;
    ByteView rest = chunks.bytes;
    for (const wire::PushPart& part : chunks.parts) {
      STAMPEDE_CHECK(take_one(part, rest.first(part.sealed_size)));
      rest = rest.subspan(part.sealed_size);
    }
    chunks_ += kept_;
    return wire::PushKept{kept_};
  });
}

Result<> PushIntake::take_one(const wire::PushPart& part, ByteView sealed) {
  const chunker::ChunkId id{part.id};
  const auto codec = static_cast<chunker::Codec>(part.codec);
  // After a line that broke a chunk may come twice.
  if (offered_.erase(id) == 0) {
    if (session_->has(id)) return {};
    return fail(Code::protocol, "chunk {} was sent and not offered", chunker::to_string(id));
  }
  STAMPEDE_CHECK(opener_.open({id, codec, part.plain_size, sealed}, plain_));
  STAMPEDE_CHECK(session_->put({id, codec, part.plain_size, copy(sealed)}));
  ++kept_;
  sealed_ += Size{sealed.size()};
  return {};
}

// That a machine would be able to deploy it.
Result<> PushIntake::check_image(const chunker::TagRecord& record) const {
  if (start_.image != wire::Digest{} && record.image.digest != start_.image)
    return fail(Code::content_altered, "the record is of another image than the one that was announced");
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store_.chunks(), record.image));
  if (manifest.root.disk_size != record.disk_size || manifest.root.data_size != record.data_size ||
      manifest.root.sector_size != record.facts.sector_size)
    return fail(Code::content_altered, "the image is not what its record says");
  // By the session: what lies in a pack that a garbage collection is about to remove does not count.
  const auto check = [&](const chunker::ChunkId& id) -> Result<> {
    if (session_->has(id)) return {};
    return fail(Code::store_damaged, "chunk {} of the image was not sent", chunker::to_string(id));
  };
  STAMPEDE_CHECK(check(chunker::as_chunk(record.image)));
  for (const auto& segment : manifest.root.segments) STAMPEDE_CHECK(check(segment.id));
  for (const auto& segment : manifest.segments)
    for (const auto& each : segment.records)
      if (each.kind == chunker::RecordKind::data) STAMPEDE_CHECK(check(each.chunk));
  return {};
}

Result<> PushIntake::check_signature(const chunker::SignedTagRecord& record) const {
  STAMPEDE_TRY(const auto signers, accepted_signers(store_.folder()));
  if (std::ranges::find(signers, record.signer) == signers.end())
    return fail(
        Code::signer_unknown,
        "the image is signed by {}, whom this depot does not accept; its operator may add the signer to keys/signers",
        trust::to_string(record.signer));
  return deploy::check_signature(record);
}

// The depot speaks for what it saw: who sent the image, and when.
Result<chunker::SignedTagRecord> PushIntake::sign(chunker::TagRecord& record) const {
  STAMPEDE_TRY(const auto key, find_signing_key(store_.folder()));
  record.created = to_rfc3339(system_clock().unix_time());
  record.source = fmt::format("{} (captured from node {})", record.source, trust::short_name(node_));
  // What nobody could read back must not be signed.
  STAMPEDE_CHECK(chunker::decode_tag_record(chunker::encode(record)));
  return deploy::sign(record, key);
}

Result<wire::Message> PushIntake::finish(const wire::PushEnd& end) {
  return step([&]() -> Result<wire::Message> {
    STAMPEDE_TRY(auto record, chunker::decode_tag_record(end.record));
    if (record.name.name != start_.name || record.name.tag != start_.tag)
      return fail(Code::content_altered, "the record of {} came for {}:{}", record.name.text(), start_.name, start_.tag);
    chunker::SignedTagRecord signed_record{end.record, end.signer, end.signature};
    if (!start_.sign) STAMPEDE_CHECK(check_signature(signed_record));
    STAMPEDE_CHECK(session_->commit());
    STAMPEDE_CHECK(check_image(record));
    if (start_.sign) {
      STAMPEDE_TRY(signed_record, sign(record));
    }
    STAMPEDE_CHECK(store_.catalog().add_tag(record, signed_record, start_.move ? cache::Naming::move : cache::Naming::keep));
    STAMPEDE_CHECK(store_.catalog().audit(trust::to_string(node_), "image push",
                                          fmt::format("{} {}", record.name.text(), chunker::to_string(record.image))));
    // It may have had the name already, by the same signer.
    STAMPEDE_TRY(const auto found, find_image(store_, record.name));
    spdlog::info("node {} has pushed {}: {} chunks, {}", trust::short_name(node_), record.name.text(), chunks_,
                 human_size(sealed_.bytes));
    return wire::TagRecordMessage{found.signed_record.record, found.signed_record.signer, found.signed_record.signature};
  });
}

}  // namespace stampede::service
