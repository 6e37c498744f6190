#include "src/casync/chunk_files.h"

#include <algorithm>

#include "chunker/digest.h"
#include "src/base/file.h"
#include "src/unpack/stream.h"

namespace stampede::casync {
namespace {

using namespace std::string_view_literals;

struct Form {
  std::string_view ending;
  bool packed;
};
constexpr std::array kForms{Form{".cacnk", true}, Form{"", false}, Form{".xz", true}};

// Packed bytes may be a little longer than plain ones.
Size most_packed(Size plain) { return {plain.bytes + plain.bytes / 8 + 65536}; }

Result<> unpack_other(ByteView file, MutableBytes out) {
  STAMPEDE_CHECK(unpack::usable());
  std::size_t filled = 0;
  bool fits = true;
  const auto take = [&](ByteView part) {
    fits = part.size() <= out.size() - filled;
    if (fits) {
      std::ranges::copy(part, out.begin() + static_cast<std::ptrdiff_t>(filled));
      filled += part.size();
    }
    return fits;
  };
  if (auto unpacked = unpack::unpack_any(file, take); !unpacked)
    return fail(Code::content_altered, "{}", unpacked.error().message);
  if (!fits) return fail(Code::content_altered, "it holds more than {} bytes", out.size());
  if (filled < out.size()) return fail(Code::content_altered, "it holds {} bytes, not {}", filled, out.size());
  return {};
}

}  // namespace

Result<> unpack_chunk(ByteView file, chunker::Opener& opener, MutableBytes out) {
  const std::string_view text = as_text(file);
  if (text.starts_with("\x28\xb5\x2f\xfd"sv)) return opener.open_frame(file, out);
  if (text.starts_with("\xfd\x37zXZ\0"sv) || text.starts_with("\x1f\x8b"sv)) return unpack_other(file, out);
  return fail(Code::content_altered, "it is not packed by zstd, xz or gzip");
}

Id id_of(Hash hash, ByteView bytes) { return hash == Hash::sha256 ? chunker::sha256(bytes) : chunker::sha512_256(bytes); }

ChunkFiles::ChunkFiles(std::string store, std::function<bool()> interrupted) : store_(std::move(store)) {
  if (is_url(store_)) remote_.emplace(std::move(interrupted));
}

Result<Bytes> ChunkFiles::get(const std::string& location, Size most) {
  if (remote_) return remote_->get(location, most);
  STAMPEDE_CHECK(stamp_of(location));  // says so where there is none
  return read_file(location, most);
}

Result<Stored> ChunkFiles::find(const Id& id, Size most) {
  const std::string path = store_path(id);
  const std::string plain = store_ + "/" + path.substr(0, path.rfind('.'));
  for (std::size_t i = 0; i < kForms.size(); ++i) {
    const std::size_t form = (form_ + i) % kForms.size();
    const std::string location = plain + std::string(kForms[form].ending);
    auto bytes = get(location, most);
    if (!bytes && bytes.error().code == Code::not_found) continue;
    if (!bytes) return pass(std::move(bytes).error());
    form_ = form;
    return Stored{*std::move(bytes), location, kForms[form].packed};
  }
  return fail(Code::not_found, "it is not in the store {}", store_);
}

Result<> ChunkFiles::read(const Chunk& chunk, Hash hash, MutableBytes out) {
  const auto bad = [&](Error error, std::string_view from) {
    return pass(std::move(error),
                fmt::format("chunk {} at {}{}{}", to_hex(chunk.id), chunk.offset.bytes, from.empty() ? "" : ", ", from));
  };
  auto stored = find(chunk.id, most_packed(chunk.length));
  if (!stored) return bad(std::move(stored).error(), "");
  if (stored->packed) {
    if (auto unpacked = unpack_chunk(stored->bytes, opener_, out); !unpacked)
      return bad(std::move(unpacked).error(), stored->from);
  } else if (stored->bytes.size() != out.size()) {
    return bad({Code::content_altered, fmt::format("it holds {} bytes, not {}", stored->bytes.size(), out.size())},
               stored->from);
  } else {
    std::ranges::copy(stored->bytes, out.begin());
  }
  if (const Id is = id_of(hash, out); is != chunk.id)
    return bad({Code::content_altered, fmt::format("its bytes are those of {}", to_hex(is))}, stored->from);
  return {};
}

}  // namespace stampede::casync
