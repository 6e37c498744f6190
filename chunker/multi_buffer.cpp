#include "chunker/multi_buffer.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "chunker/digest.h"

#ifdef STAMPEDE_IPSEC_MB

#include <intel-ipsec-mb.h>

namespace stampede::chunker {

struct MultiBufferSha256::Manager {
  explicit Manager(std::uint64_t flags) : library(alloc_mb_mgr(flags)) {}
  ~Manager() { free_mb_mgr(library); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // One that was submitted and is through.
  void take(const IMB_JOB* job) { failed = failed || job->status != IMB_STATUS_COMPLETED; }

  IMB_MGR* const library;
  std::size_t lanes = 0;
  bool failed = false;
};

MultiBufferSha256::MultiBufferSha256(std::unique_ptr<Manager> manager) : manager_(std::move(manager)) {}
MultiBufferSha256::~MultiBufferSha256() = default;

namespace {

// What the library takes each of them by. Its managers for AVX2 and AVX-512 hash in many lanes even where there are SHA
// instructions, but for the newest processors; that for SSE is the one that uses them wherever they are.
struct Choice {
  std::uint64_t needs, without;
  void (*begin)(IMB_MGR*);
  std::size_t lanes;
};
Choice choice_of(MultiBufferSha256::Lanes lanes) {
  switch (lanes) {
    case MultiBufferSha256::Lanes::sha_extensions:
      return {IMB_CPUFLAGS_SSE_T2, 0, init_mb_mgr_sse, 2};
    case MultiBufferSha256::Lanes::avx512:
      return {IMB_CPUFLAGS_AVX512, IMB_FLAG_SHANI_OFF, init_mb_mgr_avx512, 16};
    case MultiBufferSha256::Lanes::avx2:
      return {IMB_CPUFLAGS_AVX2, IMB_FLAG_SHANI_OFF, init_mb_mgr_avx2, 8};
  }
  std::abort();
}

}  // namespace

std::unique_ptr<MultiBufferSha256> MultiBufferSha256::make(Lanes lanes) {
  const Choice choice = choice_of(lanes);
  auto manager = std::make_unique<Manager>(choice.without);
  IMB_MGR* const library = manager->library;
  if (library == nullptr) return nullptr;
  // Before it is begun: on a processor without them that would end the process (a call of null, in 1.3).
  if ((library->features & choice.needs) != choice.needs) return nullptr;
  choice.begin(library);
  manager->lanes = choice.lanes;
  return std::unique_ptr<MultiBufferSha256>(new MultiBufferSha256(std::move(manager)));
}

// Of sixteen lanes, or eight, each is slower than OpenSSL.
std::size_t MultiBufferSha256::fewest() const { return std::max<std::size_t>(2, manager_->lanes / 4); }

void MultiBufferSha256::add(ByteView bytes, Sha256& digest) { (void)submit(bytes, digest); }

// Is one through?
bool MultiBufferSha256::submit(ByteView bytes, Sha256& digest) {
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
  bool through = false;
  for (job = IMB_SUBMIT_JOB_NOCHECK(manager_->library); job != nullptr; job = IMB_GET_COMPLETED_JOB(manager_->library)) {
    manager_->take(job);
    through = true;
  }
  return through;
}

void MultiBufferSha256::flush() {
  while (const IMB_JOB* const job = IMB_FLUSH_JOB(manager_->library)) manager_->take(job);
}

// A run waits until all lanes have one.
bool MultiBufferSha256::has_its_lanes() {
  constexpr std::array<std::byte, 64> kRun{};
  std::array<Sha256, 32> digests;
  std::size_t runs = 1;
  while (runs < digests.size() && !submit(kRun, digests[runs])) ++runs;
  flush();
  return runs == manager_->lanes;
}

bool MultiBufferSha256::failed() const { return manager_->failed; }

}  // namespace stampede::chunker

#else

namespace stampede::chunker {

struct MultiBufferSha256::Manager {};
MultiBufferSha256::MultiBufferSha256(std::unique_ptr<Manager> manager) : manager_(std::move(manager)) {}
MultiBufferSha256::~MultiBufferSha256() = default;
std::unique_ptr<MultiBufferSha256> MultiBufferSha256::make(Lanes) { return nullptr; }
std::size_t MultiBufferSha256::fewest() const { return 1; }
void MultiBufferSha256::add(ByteView bytes, Sha256& digest) { digest = sha256(bytes); }
void MultiBufferSha256::flush() {}
bool MultiBufferSha256::has_its_lanes() { return true; }
bool MultiBufferSha256::failed() const { return false; }

}  // namespace stampede::chunker

#endif

namespace stampede::chunker {

void MultiBufferSha256::finish() {
  flush();
  if (failed()) std::abort();  // what was right at first is not any more: there is nothing to go on with
}

// More runs than lanes, so that lanes are filled again; the longest there is; ends in and at blocks of 64 bytes.
bool MultiBufferSha256::is_right() {
  static constexpr std::array<std::size_t, 20> kSizes{
      kMaxChunk.bytes, 1, 55, 56, 63, 64, 65, 119, 120, 128, 512, 4095, 4096, 4097, 0xffff, 0x10000, 0x10001, 3, 2, 1};
  Bytes bytes(kMaxChunk.bytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  std::array<Sha256, kSizes.size()> digests;
  for (std::size_t i = 0; i < kSizes.size(); ++i) add(ByteView(bytes).first(kSizes[i]), digests[i]);
  flush();
  if (failed()) return false;
  for (std::size_t i = 0; i < kSizes.size(); ++i)
    if (digests[i] != sha256(ByteView(bytes).first(kSizes[i]))) return false;
  return true;
}

std::unique_ptr<MultiBufferSha256> MultiBufferSha256::with(Lanes lanes) {
  auto made = make(lanes);
  if (made && !(made->has_its_lanes() && made->is_right())) made.reset();
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
