#include "chunker/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "chunker/multi_buffer.h"

namespace stampede::chunker {
namespace {

// OpenSSL's digest calls fail only for lack of memory or for a library without SHA-256: nothing to go on with.
void must(bool done) {
  if (!done) std::abort();
}

const EVP_MD* algorithm() {
  // Fetched once: an implicit fetch in every init costs more than hashing a small chunk.
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  must(fetched != nullptr);
  return fetched;
}

const EVP_MD* algorithm_512_256() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA512-256", nullptr);
  must(fetched != nullptr);
  return fetched;
}

constexpr std::size_t kPage = 4096;

bool fits_a_lane(ByteView bytes) { return !bytes.empty() && bytes.size() <= kMaxChunk.bytes; }

}  // namespace

struct Digester::Context {
  Context() : evp(EVP_MD_CTX_new()) { must(evp != nullptr); }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  EVP_MD_CTX* evp;
  std::optional<std::unique_ptr<MultiBufferSha256>> many;  // at first use; null: there is none
};

Digester::Digester() : context_(std::make_unique<Context>()) {}
Digester::~Digester() = default;
Digester::Digester(Digester&&) noexcept = default;
Digester& Digester::operator=(Digester&&) noexcept = default;

void Digester::start() { must(EVP_DigestInit_ex(context_->evp, algorithm(), nullptr) == 1); }

void Digester::add(ByteView bytes) {
  // Page by page, the next one asked for: 1.4 times as fast where the bytes are not in the cache (1.25 -> 1.73 GB/s).
  for (ByteView rest = bytes; !rest.empty();) {
    const ByteView page = rest.first(std::min(rest.size(), kPage));
    rest = rest.subspan(page.size());
    prefetch(rest.first(std::min(rest.size(), kPage)));
    must(EVP_DigestUpdate(context_->evp, page.data(), page.size()) == 1);
  }
}

Sha256 Digester::finish() {
  Sha256 digest;
  must(EVP_DigestFinal_ex(context_->evp, reinterpret_cast<unsigned char*>(digest.data()), nullptr) == 1);
  return digest;
}

VerifiedChunk Digester::name(ByteView plain) {
  start();
  add(plain);
  return {ChunkId{finish()}, plain};
}

Result<VerifiedChunk> Digester::verify(const ChunkId& claimed, ByteView plain) {
  const VerifiedChunk chunk = name(plain);
  if (chunk.id() != claimed)
    return fail(Code::content_altered, "bytes that claim to be chunk {} are {}", to_string(claimed), to_string(chunk.id()));
  return chunk;
}

MultiBufferSha256* Digester::multi_buffer() {
  if (!context_->many) context_->many = MultiBufferSha256::best();
  return context_->many->get();
}

std::vector<VerifiedChunk> Digester::recognise(std::span<const ByteView> plain) {
  Many many(*this, plain.size());
  for (const ByteView bytes : plain) many.add(bytes);
  return many.finish();
}

Digester::Many::Many(Digester& digester, std::size_t most)
    : digester_(digester), many_(most > 1 ? digester.multi_buffer() : nullptr) {
  chunks_.reserve(most);
}

Digester::Many::~Many() {
  if (running_) many_->finish();  // it writes into chunks_
}

void Digester::Many::add(ByteView plain) {
  if (many_ == nullptr || !fits_a_lane(plain)) {
    chunks_.push_back(digester_.name(plain));
    return;
  }
  chunks_.push_back({{}, plain});
  waiting_.push_back(chunks_.size() - 1);
  if (!running_ && waiting_.size() < many_->fewest()) return;
  running_ = true;
  for (const std::size_t i : waiting_) many_->add(chunks_[i].bytes_, chunks_[i].id_.digest);
  waiting_.clear();
}

std::vector<VerifiedChunk> Digester::Many::finish() {
  for (const std::size_t i : waiting_) chunks_[i] = digester_.name(chunks_[i].bytes_);
  if (std::exchange(running_, false)) many_->finish();
  return std::move(chunks_);
}

Sha256 sha256(ByteView bytes) {
  Digester digester;
  return digester.name(bytes).id().digest;
}

std::array<std::byte, 32> sha512_256(ByteView bytes) {
  std::array<std::byte, 32> digest;
  must(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, algorithm_512_256(),
                  nullptr) == 1);
  return digest;
}

}  // namespace stampede::chunker
