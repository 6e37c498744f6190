#include "chunker/multi_buffer.h"

#include <array>
#include <cstdlib>
#include <optional>

#include "chunker/digest.h"

#ifdef STAMPEDE_IPSEC_MB

#include <intel-ipsec-mb.h>

namespace stampede::chunker {

struct MultiBufferSha256::Manager {
  explicit Manager(Lanes which)
      : lanes(which), library(alloc_mb_mgr(which == Lanes::sha_extensions ? 0 : IMB_FLAG_SHANI_OFF)) {}
  ~Manager() { free_mb_mgr(library); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  const Lanes lanes;
  IMB_MGR* const library;
};

MultiBufferSha256::MultiBufferSha256(std::unique_ptr<Manager> manager) : manager_(std::move(manager)) {}
MultiBufferSha256::~MultiBufferSha256() = default;

std::unique_ptr<MultiBufferSha256> MultiBufferSha256::make(Lanes lanes) {
  auto manager = std::make_unique<Manager>(lanes);
  IMB_MGR* const library = manager->library;
  if (library == nullptr) return nullptr;
  // Its AVX-512 manager hashes in sixteen lanes even where there are SHA instructions, which want but two.
  if (lanes == Lanes::avx512)
    init_mb_mgr_avx512(library);
  else
    init_mb_mgr_avx2(library);
  if (imb_get_errno(library) != 0) return nullptr;
  if (lanes == Lanes::sha_extensions && (library->features & IMB_FEATURE_SHANI) == 0) return nullptr;
  return std::unique_ptr<MultiBufferSha256>(new MultiBufferSha256(std::move(manager)));
}

// Of the sixteen lanes of AVX-512, and the eight of AVX2, each is slower than OpenSSL.
std::size_t MultiBufferSha256::fewest() const { return manager_->lanes == Lanes::sha_extensions ? 2 : 4; }

void MultiBufferSha256::add(ByteView bytes, Sha256& digest) {
  IMB_JOB* job = IMB_GET_NEXT_JOB(manager_->library);
  *job = {};
  job->cipher_mode = IMB_CIPHER_NULL;
  job->cipher_direction = IMB_DIR_ENCRYPT;
  job->chain_order = IMB_ORDER_HASH_CIPHER;
  job->hash_alg = IMB_AUTH_SHA_256;
  job->src = reinterpret_cast<const std::uint8_t*>(bytes.data());
  job->msg_len_to_hash_in_bytes = bytes.size();
  job->auth_tag_output = reinterpret_cast<std::uint8_t*>(digest.data());
  job->auth_tag_output_len_in_bytes = digest.size();
  for (job = IMB_SUBMIT_JOB_NOCHECK(manager_->library); job != nullptr; job = IMB_GET_COMPLETED_JOB(manager_->library))
    if (job->status != IMB_STATUS_COMPLETED) std::abort();
}

void MultiBufferSha256::finish() {
  while (const IMB_JOB* const job = IMB_FLUSH_JOB(manager_->library))
    if (job->status != IMB_STATUS_COMPLETED) std::abort();
}

}  // namespace stampede::chunker

#else

namespace stampede::chunker {

struct MultiBufferSha256::Manager {};
MultiBufferSha256::MultiBufferSha256(std::unique_ptr<Manager> manager) : manager_(std::move(manager)) {}
MultiBufferSha256::~MultiBufferSha256() = default;
std::unique_ptr<MultiBufferSha256> MultiBufferSha256::make(Lanes) { return nullptr; }
std::size_t MultiBufferSha256::fewest() const { return 1; }
void MultiBufferSha256::add(ByteView bytes, Sha256& digest) { digest = sha256(bytes); }
void MultiBufferSha256::finish() {}

}  // namespace stampede::chunker

#endif

namespace stampede::chunker {

// More runs than lanes, so that lanes are filled again; the longest there is; ends in and at blocks of 64 bytes.
bool MultiBufferSha256::is_right() {
  static constexpr std::array<std::size_t, 20> kSizes{
      kMaxChunk.bytes, 1, 55, 56, 63, 64, 65, 119, 120, 128, 512, 4095, 4096, 4097, 0xffff, 0x10000, 0x10001, 3, 2, 1};
  Bytes bytes(kMaxChunk.bytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  std::array<Sha256, kSizes.size()> digests;
  for (std::size_t i = 0; i < kSizes.size(); ++i) add(ByteView(bytes).first(kSizes[i]), digests[i]);
  finish();
  for (std::size_t i = 0; i < kSizes.size(); ++i)
    if (digests[i] != sha256(ByteView(bytes).first(kSizes[i]))) return false;
  return true;
}

std::unique_ptr<MultiBufferSha256> MultiBufferSha256::with(Lanes lanes) {
  auto made = make(lanes);
  if (made && !made->is_right()) made.reset();
  return made;
}

std::unique_ptr<MultiBufferSha256> MultiBufferSha256::best() {
  static const std::optional<Lanes> chosen = []() -> std::optional<Lanes> {
    for (const Lanes lanes : {Lanes::sha_extensions, Lanes::avx512, Lanes::avx2})
      if (with(lanes)) return lanes;
    return std::nullopt;
  }();
  return chosen ? make(*chosen) : nullptr;
}

}  // namespace stampede::chunker
