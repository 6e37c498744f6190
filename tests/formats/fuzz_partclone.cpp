#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <tuple>

#include "src/formats/partclone.h"

using namespace stampede;

namespace {

// partclone's, bit by bit.
std::uint32_t crc32(ByteView bytes) {
  std::uint32_t value = UINT32_MAX;
  for (const std::byte byte : bytes) {
    value ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320U : 0U);
  }
  return value;
}

// The checksums of header and bitmap are made right, which no invention would be.
void mend(MutableBytes file) {
  using namespace std::string_view_literals;
  std::ranges::copy(as_bytes("partclone-image\0"sv), file.begin());
  std::ranges::copy(as_bytes("0002\xde\xc0"sv), file.begin() + 30);
  store_le(file.subspan(106), crc32(file.first(106)));
  const auto blocks = load_le<std::uint64_t>(file.subspan(60));
  const std::uint64_t bitmap = blocks / 8 + (blocks % 8 != 0 ? 1 : 0), rest = file.size() - formats::kPartcloneHeader;
  if (rest < 4 || bitmap > rest - 4) return;
  const MutableBytes behind = file.subspan(formats::kPartcloneHeader);
  store_le(behind.subspan(bitmap), crc32(behind.first(bitmap)));
}

}  // namespace

// The first byte says whether what follows is mended.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Bytes bytes = copy(std::as_bytes(std::span(data, size)).subspan(1));
  if (data[0] % 8 != 0 && bytes.size() >= formats::kPartcloneHeader) mend(bytes);
  if (bytes.size() >= formats::kPartcloneHeader)
    std::ignore = formats::decode_partclone_header(ByteView(bytes).first(formats::kPartcloneHeader));
  static const File file(::memfd_create("fuzz", MFD_CLOEXEC), "fuzz");
  if (!file.truncate({}) || !file.write_at({}, bytes)) return 0;
  ::lseek(file.fd(), 0, SEEK_SET);
  formats::UnpackOptions options;
  options.limits.max_size = 64_MiB;
  auto spool = formats::Spool::make(std::filesystem::temp_directory_path(), "fuzz", options.limits);
  const auto stream = unpack::open_stream(file, unpack::Packing::none);
  if (!spool || !stream) return 0;
  formats::Ticker ticker(options, {});
  std::ignore = formats::copy_partclone(**stream, *spool, ticker);
  return 0;
}
