#include "src/service/http_content.h"

#include <spdlog/spdlog.h>

#include "src/casync/image_index.h"
#include "src/casync/zeros.h"
#include "src/service/library.h"

namespace stampede::service {
namespace {

constexpr std::size_t kMostCounts = 1024;

HttpAnswer never_another(std::string tag, Bytes body) {
  HttpAnswer answer;
  answer.tag = std::move(tag);
  answer.for_ever = true;
  answer.size = body.size();
  answer.body = std::move(body);
  return answer;
}

// What is wrong with the store is for its owner's eyes.
HttpAnswer of_error(const Error& error, std::string_view from) {
  if (error.code == Code::not_found) return http_refusal(404, "not found");
  spdlog::error("http: {} is not answered: {}", from, error.message);
  if (error.code == Code::busy) return http_refusal(503, error.message);
  if (error.code == Code::usage) return http_refusal(501, error.message);
  return http_refusal(class_of(error.code) == "trust" ? 403 : 500, "the depot's log says why");
}

HttpAnswer answered(Result<HttpAnswer> answer, std::string_view from) {
  return answer ? *std::move(answer) : of_error(answer.error(), from);
}

}  // namespace

HttpAnswer http_refusal(unsigned status, std::string_view why) {
  HttpAnswer answer;
  answer.status = status;
  answer.type = "text/plain; charset=utf-8";
  answer.body = copy(as_bytes(fmt::format("{}\n", why)));
  answer.size = answer.body.size();
  return answer;
}

HttpAnswer HttpContent::answer(const HttpAsk& ask, std::string_view from) {
  if (const auto* image = std::get_if<AskIndex>(&ask)) return index(*image, from);
  if (const auto* id = std::get_if<AskChunk>(&ask)) return answered(chunk(id->id), from);
  if (const auto* image = std::get_if<AskManifest>(&ask)) return answered(manifest(image->image), from);
  const auto& refused = std::get<AskRefused>(ask);
  return http_refusal(refused.status, refused.why);
}

HttpAnswer HttpContent::index(const AskIndex& ask, std::string_view from) {
  const auto found = find_image(store_, ask.image);
  if (!found && found.error().code == Code::not_found)
    return http_refusal(404, fmt::format("no image {}", ask.image.text()));
  if (!found && found.error().code == Code::usage) return http_refusal(400, found.error().message);
  if (!found) return of_error(found.error(), from);
  const chunker::ImageId& image = found->record.image;
  spdlog::info("http: {} asks for {}, image {}", from, ask.image.text(), to_string(image));
  auto answer = answered(ask.fixed ? fixed_index_of(image) : index_of(image), from);
  answer.for_ever = answer.status == 200 && ask.image.id.size() == chunker::kAllDigits;
  return answer;
}

Result<HttpAnswer> HttpContent::index_of(const chunker::ImageId& image) {
  STAMPEDE_TRY(const auto chunks, count(image));
  HttpAnswer answer;
  STAMPEDE_TRY(auto stream, casync::IndexStream::open(store_.chunks(), image, chunks));
  answer.parts = [stream = std::move(stream)]() mutable { return stream.next(); };
  answer.tag = to_string(image);
  answer.size = casync::index_size(chunks);
  return answer;
}

Result<HttpAnswer> HttpContent::fixed_index_of(const chunker::ImageId& image) {
  STAMPEDE_TRY(auto index, fixed_.index(image));
  HttpAnswer answer;
  answer.tag = to_string(image) + "-fixed";
  answer.size = index->size();
  answer.parts = [index = std::move(index), next = std::uint64_t{0}]() mutable -> Result<Bytes> {
    constexpr std::uint64_t kMost = 1600;
    if (next > 0 && next >= index->count()) return Bytes();
    Bytes part = index->part(next, kMost);
    next += kMost;
    return part;
  };
  return answer;
}

// The whole manifest is read for it, once.
Result<std::uint64_t> HttpContent::count(const chunker::ImageId& image) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = counts_.find(image); known != counts_.end()) return known->second;
  }
  STAMPEDE_TRY(const auto chunks, casync::ImageCuts::count(store_.chunks(), image));
  const std::lock_guard lock(mutex_);
  if (counts_.size() >= kMostCounts) counts_.clear();
  counts_[image] = chunks;
  return chunks;
}

Result<HttpAnswer> HttpContent::chunk(const chunker::ChunkId& id) {
  if (const auto zeros = casync::zero_size(id)) return never_another(to_string(id), chunker::zero_frame(*zeros));
  auto stored = store_.chunks().get(id);
  if (!stored && stored.error().code == Code::not_found) {
    STAMPEDE_TRY(auto piece, fixed_.piece(id));
    if (piece) return never_another(to_string(id), *std::move(piece));
  }
  if (!stored) return pass(std::move(stored).error());
  chunker::SealedChunk& sealed = *stored;
  if (sealed.plain_size > kMaxHttpBody.bytes)
    return fail(Code::usage, "chunk {} has {} bytes; by HTTP {} is the most", to_string(id), sealed.plain_size,
                kMaxHttpBody.bytes);
  // Whoever passes it on may keep it for ever.
  static thread_local chunker::Opener opener;
  Bytes plain(sealed.plain_size);
  STAMPEDE_CHECK(opener.open({id, sealed.codec, sealed.plain_size, sealed.bytes}, plain));
  if (sealed.codec == chunker::Codec::raw) sealed.bytes = chunker::raw_frame(plain);
  return never_another(to_string(id), std::move(sealed.bytes));
}

Result<HttpAnswer> HttpContent::manifest(const chunker::ImageId& image) {
  STAMPEDE_TRY(const auto sealed, store_.chunks().get(chunker::as_chunk(image)));
  if (sealed.plain_size > kMaxHttpBody.bytes)
    return fail(Code::usage, "manifest {} has {} bytes; by HTTP {} is the most", to_string(image), sealed.plain_size,
                kMaxHttpBody.bytes);
  Bytes plain(sealed.plain_size);
  STAMPEDE_CHECK(chunker::Opener().open({sealed.id, sealed.codec, sealed.plain_size, sealed.bytes}, plain));
  // A root record and no other object.
  if (!chunker::decode_root(plain)) return fail(Code::not_found, "no manifest {}", to_string(image));
  return never_another(to_string(image), std::move(plain));
}

}  // namespace stampede::service
