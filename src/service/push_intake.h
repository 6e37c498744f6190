// The depot's side of one push (wire::PushStart and what follows): nothing that a pusher says is believed. Every chunk was
// offered, lacked, opened and hashed before it is packed; the image is read back as a whole before its name is; and its
// record is signed by a signer whom the store accepts.
//
// What was packed stays where a push ends early: chunks to which nothing refers, until the store collects them; the next
// attempt does not send them again.
//
// Memory: kMaxOffered ids (4 MiB), a frame's sealed bytes and a chunk's plain ones (2 MiB), a pack's entries (26 MiB), and
// while it ends the manifest. There are kMaxPushes at once, and one of them is worked on at a time. One thread at a time,
// which may wait for the disk: not the depot's loop.
#pragma once

#include <memory>
#include <optional>
#include <unordered_set>

#include "cache/store.h"
#include "chunker/seal.h"
#include "src/trust/keys.h"
#include "transport/wire/messages.h"

namespace stampede::service {

inline constexpr std::size_t kMaxPushes = 4;
inline constexpr std::size_t kMaxOffered = 65536;
// No push goes on where less is free: what else a depot writes (receipts, its catalog) has to find room.
inline constexpr Size kPushReserve = 64_MiB;

class PushIntake {
 public:
  // Errors: not_permitted (the node's token did not grant it), tag_taken, signer_unknown (it is to sign and has no key),
  // no_space, usage (no such name).
  static Result<std::shared_ptr<PushIntake>> start(cache::Store& store, const trust::PublicKey& node,
                                                   const wire::PushStart& start, Size reserve);
  ~PushIntake() { end(); }
  PushIntake(const PushIntake&) = delete;
  PushIntake& operator=(const PushIntake&) = delete;

  // After an error nothing but that error is said any more. protocol: more than kMaxOffered offered and not sent; a chunk
  // that was not offered. content_altered; no_space, write_failed.
  Result<wire::Message> offer(const wire::PushOffer& offer);
  Result<wire::Message> take(const wire::PushChunks& chunks);
  // Commits the chunks and names the image. Errors: not_found, store_damaged, content_altered (the image is not whole, or
  // not what the record says); signer_unknown, signature_invalid; tag_taken.
  Result<wire::Message> finish(const wire::PushEnd& end);
  // Keeps what was packed; nothing comes after it.
  void end();

 private:
  PushIntake(cache::Store& store, const trust::PublicKey& node, wire::PushStart start, Size reserve);
  template <class Step>
  Result<wire::Message> step(Step step);
  Result<> take_one(const wire::PushPart& part, ByteView sealed);
  Result<> check_room(Size more) const;
  Result<> check_image(const chunker::TagRecord& record) const;
  Result<chunker::SignedTagRecord> sign(chunker::TagRecord& record) const;
  Result<> check_signature(const chunker::SignedTagRecord& record) const;

  cache::Store& store_;
  const trust::PublicKey node_;
  const wire::PushStart start_;
  const Size reserve_;
  std::unique_ptr<cache::ImportSession> session_;
  std::unordered_set<chunker::ChunkId> offered_;  // lacked, and not sent yet
  chunker::Opener opener_;
  Bytes plain_;
  std::uint32_t kept_ = 0;  // of the frame
  std::uint64_t chunks_ = 0;
  Size sealed_;
  std::optional<Error> broken_;
};

}  // namespace stampede::service
