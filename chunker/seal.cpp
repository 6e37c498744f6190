#include "chunker/seal.h"

#include <zstd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace stampede::chunker {
namespace {

// Out of memory: zstd's contexts come from malloc, as everything else does.
template <class T>
T* must(T* context) {
  if (context == nullptr) std::abort();
  return context;
}

SealedChunk sealed_as(const VerifiedChunk& chunk, Codec codec, ByteView bytes) {
  return {chunk.id(), codec, static_cast<std::uint32_t>(chunk.bytes().size()), copy(bytes)};
}

}  // namespace

struct Sealer::Context {
  explicit Context(int level) : raw(level == kRawLevel), zstd(must(ZSTD_createCCtx())) {
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 0);  // the chunk id is the checksum
  }
  ~Context() { ZSTD_freeCCtx(zstd); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  const bool raw;
  ZSTD_CCtx* zstd;
  Bytes frame;  // grows to the bound of the largest chunk seen
};

Sealer::Sealer(int level) : context_(std::make_unique<Context>(level)) {}
Sealer::~Sealer() = default;
Sealer::Sealer(Sealer&&) noexcept = default;

SealedChunk Sealer::seal(const VerifiedChunk& chunk) {
  const ByteView plain = chunk.bytes();
  if (context_->raw) return sealed_as(chunk, Codec::raw, plain);
  Bytes& frame = context_->frame;
  // With room for the worst case zstd skips its bounds checks, which is faster than refusing to grow.
  if (const std::size_t bound = ZSTD_compressBound(plain.size()); frame.size() < bound) frame.resize(bound);
  const std::size_t size = ZSTD_compress2(context_->zstd, frame.data(), frame.size(), plain.data(), plain.size());
  if (ZSTD_isError(size) || size >= plain.size()) return sealed_as(chunk, Codec::raw, plain);
  return sealed_as(chunk, Codec::zstd, ByteView(frame).first(size));
}

struct Opener::Context {
  Context() : zstd(must(ZSTD_createDCtx())) {}
  ~Context() { ZSTD_freeDCtx(zstd); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ZSTD_DCtx* zstd;
  Digester digester;
};

Opener::Opener() : context_(std::make_unique<Context>()) {}
Opener::~Opener() = default;
Opener::Opener(Opener&&) noexcept = default;

namespace {

// Nothing is decompressed before the frame is known to be one whole frame of exactly the size that was promised.
Result<> check_frame(const UntrustedChunk& chunk) {
  const auto bad = [&](std::string_view what) {
    return fail(Code::content_altered, "seal of chunk {}: {}", to_string(chunk.claimed), what);
  };
  if (chunk.plain_size == 0 || chunk.plain_size > kMaxObject.bytes) return bad("impossible plain size");
  if (chunk.codec == Codec::raw) {
    if (chunk.sealed.size() != chunk.plain_size) return bad("raw bytes of another size than claimed");
    return {};
  }
  if (chunk.codec != Codec::zstd) return bad("unknown codec");
  if (chunk.sealed.size() >= chunk.plain_size) return bad("longer than the plain bytes");
  if (ZSTD_getFrameContentSize(chunk.sealed.data(), chunk.sealed.size()) != chunk.plain_size)
    return bad("zstd frame of another size than claimed");
  if (ZSTD_findFrameCompressedSize(chunk.sealed.data(), chunk.sealed.size()) != chunk.sealed.size())
    return bad("not exactly one zstd frame");
  return {};
}

}  // namespace

// Not verified yet.
Result<ByteView> Opener::decompress(const UntrustedChunk& chunk, MutableBytes out) {
  STAMPEDE_CHECK(check_frame(chunk));
  if (out.size() < chunk.plain_size)
    return fail(Code::internal, "opening chunk {}: {} bytes of room for {}", to_string(chunk.claimed), out.size(),
                chunk.plain_size);
  const MutableBytes plain = out.first(chunk.plain_size);
  if (chunk.codec == Codec::raw) {
    std::memmove(plain.data(), chunk.sealed.data(), plain.size());
  } else {
    const std::size_t size =
        ZSTD_decompressDCtx(context_->zstd, plain.data(), plain.size(), chunk.sealed.data(), chunk.sealed.size());
    if (ZSTD_isError(size))
      return fail(Code::content_altered, "seal of chunk {}: {}", to_string(chunk.claimed), ZSTD_getErrorName(size));
    if (size != plain.size()) return fail(Code::content_altered, "seal of chunk {}: short", to_string(chunk.claimed));
  }
  return plain;
}

Result<VerifiedChunk> Opener::open(const UntrustedChunk& chunk, MutableBytes out) {
  STAMPEDE_TRY(const ByteView plain, decompress(chunk, out));
  return context_->digester.verify(chunk.claimed, plain);
}

Result<std::vector<VerifiedChunk>> Opener::open(std::span<const UntrustedChunk> chunks, MutableBytes out) {
  Digester::Many many(context_->digester, chunks.size());
  for (const UntrustedChunk& chunk : chunks) {
    STAMPEDE_TRY(const ByteView plain, decompress(chunk, out));
    out = out.subspan(plain.size());
    many.add(plain);
  }
  std::vector<VerifiedChunk> opened = many.finish();
  for (std::size_t i = 0; i < opened.size(); ++i)
    if (opened[i].id() != chunks[i].claimed) {  // none is called altered but by EVP
      STAMPEDE_TRY(opened[i], context_->digester.verify(chunks[i].claimed, opened[i].bytes()));
    }
  return opened;
}

Result<> Opener::open_frame(ByteView frame, MutableBytes out) {
  const std::size_t size = ZSTD_decompressDCtx(context_->zstd, out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size))
    return fail(Code::content_altered, "zstd frame of {} bytes: {}", out.size(), ZSTD_getErrorName(size));
  if (size != out.size()) return fail(Code::content_altered, "zstd frame of {} bytes, not {}", size, out.size());
  return {};
}

namespace {

constexpr std::size_t kFrameBlock = 128U << 10;  // the most that a block may hold
enum class Block : std::uint8_t { raw = 0, repeat = 1 };

// Magic; then "one segment, and its size in four bytes"; that size.
ByteWriter begin_frame(std::size_t plain, std::size_t reserve) {
  ByteWriter out(reserve);
  out.u32(0xfd2fb528).u8(0xa0).u32(static_cast<std::uint32_t>(plain));
  return out;
}

// Three bytes: bit 0 "the last one", bits 1 and 2 the kind, then the number of plain bytes.
void block_header(ByteWriter& out, Block kind, std::size_t plain, bool last) {
  const std::size_t header = plain << 3 | static_cast<std::size_t>(kind) << 1 | (last ? 1 : 0);
  out.u16(static_cast<std::uint16_t>(header)).u8(static_cast<std::uint8_t>(header >> 16));
}

}  // namespace

Bytes raw_frame(ByteView plain) {
  ByteWriter out = begin_frame(plain.size(), plain.size() + 16 + plain.size() / kFrameBlock * 3);
  for (std::size_t at = 0; at < plain.size(); at += kFrameBlock) {
    const ByteView part = plain.subspan(at, std::min(kFrameBlock, plain.size() - at));
    block_header(out, Block::raw, part.size(), at + part.size() == plain.size());
    out.raw(part);
  }
  return out.take();
}

Bytes zero_frame(Size plain) {
  ByteWriter out = begin_frame(plain.bytes, 16 + plain.bytes / kFrameBlock * 4);
  for (std::size_t at = 0; at < plain.bytes; at += kFrameBlock) {
    const std::size_t part = std::min<std::size_t>(kFrameBlock, plain.bytes - at);
    block_header(out, Block::repeat, part, at + part == plain.bytes);
    out.u8(0);
  }
  return out.take();
}

}  // namespace stampede::chunker
