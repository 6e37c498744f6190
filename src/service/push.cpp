#include "src/service/push.h"

#include <algorithm>

#include "chunker/package.h"
#include "src/service/library.h"

namespace stampede::service {

namespace {

class Sender {
 public:
  Sender(cache::Store& store, net::PushSink& sink, const PushOptions& options, Size total)
      : store_(store), sink_(sink), options_(options), total_(total) {}

  // A depot is asked of as many at once as an offer holds.
  Result<> add(const chunker::ChunkId& id, Size length) {
    ids_.push_back(id);
    lengths_.push_back(length);
    if (ids_.size() < wire::kMaxOffer) return {};
    return send();
  }

  Result<> send() {
    if (ids_.empty()) return {};
    STAMPEDE_TRY(const auto lacking, sink_.lacking(ids_));
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (options_.stopped()) return fail(Code::interrupted, "interrupted; what the depot has got it keeps");
      done_ += lengths_[i];
      if (!lacking[i]) continue;
      STAMPEDE_TRY(auto chunk, store_.chunks().get(ids_[i]));
      STAMPEDE_CHECK(sink_.put(std::move(chunk)));
      options_.progress(done_, total_);
    }
    options_.progress(done_, total_);
    ids_.clear();
    lengths_.clear();
    return {};
  }

 private:
  cache::Store& store_;
  net::PushSink& sink_;
  const PushOptions& options_;
  const Size total_;
  Size done_;
  std::vector<chunker::ChunkId> ids_;
  std::vector<Size> lengths_;
};

Result<> send_all(Sender& sender, const chunker::Manifest& manifest) {
  for (const auto& segment : manifest.segments)
    for (const auto& record : segment.records)
      if (record.kind == chunker::RecordKind::data) STAMPEDE_CHECK(sender.add(record.chunk, record.length));
  for (const auto& segment : manifest.root.segments) STAMPEDE_CHECK(sender.add(segment.id, {}));
  STAMPEDE_CHECK(sender.add(chunker::as_chunk(manifest.id), {}));
  return sender.send();
}

Size data_of(const chunker::Manifest& manifest) {
  Size data;
  for (const auto& segment : manifest.segments)
    for (const auto& record : segment.records)
      if (record.kind == chunker::RecordKind::data) data += record.length;
  return data;
}

}  // namespace

Result<> open_push(deploy::Access& access, net::PushSink& sink) {
  auto opened = sink.open();
  if (opened || opened.error().code != Code::not_permitted) return opened;
  STAMPEDE_TRY(const bool shown, access.show_token());
  return shown ? sink.open() : opened;
}

Result<chunker::SignedTagRecord> push_all(net::PushSink& sink,
                                          const std::function<Result<chunker::SignedTagRecord>()>& put_all) {
  while (true) {
    const std::uint64_t begun = sink.begun();
    STAMPEDE_TRY(const auto record, put_all());
    STAMPEDE_CHECK(sink.flush());
    if (sink.begun() != begun) continue;
    auto now = sink.finish(record);
    if (now || sink.begun() == begun) return now;
    STAMPEDE_CHECK(sink.restart());
  }
}

Result<Pushed> push_image(cache::Store& store, const PushOptions& options) {
  STAMPEDE_TRY(const auto found, hold_image(store, options.image));
  STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store.chunks(), found.record.image));
  STAMPEDE_TRY(auto access, deploy::Access::open(options));
  STAMPEDE_CHECK(access.connect());
  const chunker::ImageName& name = found.record.name;
  net::PushSink sink(*access.node(), {name.name, name.tag, found.record.image.digest, options.move, false});
  STAMPEDE_CHECK(open_push(access, sink));
  Pushed pushed{.record = found.record, .data = data_of(manifest), .sent = {}};
  const auto put_all = [&]() -> Result<chunker::SignedTagRecord> {
    Sender sender(store, sink, options, pushed.data);
    STAMPEDE_CHECK(send_all(sender, manifest));
    return found.signed_record;
  };
  STAMPEDE_TRY(const auto now, push_all(sink, put_all));
  STAMPEDE_TRY(const auto record, chunker::decode_tag_record(now.record));
  if (record.image != found.record.image)
    return fail(Code::content_altered, "the depot says that {} is another image now", name.text());
  pushed.sent = sink.sent();
  pushed.chunks = sink.chunks();
  STAMPEDE_CHECK(
      store.catalog().audit("operator", "image push", fmt::format("{} to {}", name.text(), options.depot.text())));
  return pushed;
}

}  // namespace stampede::service
