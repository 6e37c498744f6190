#include "src/volume/packed.h"

#include <archive.h>

#include <algorithm>
#include <memory>

namespace stampede::volume {

namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t kMostUnpacked = 4ULL << 30;
constexpr std::string_view kCompressed[] = {
    "\x1f\x8b"sv,         "BZh"sv,     "\xfd\x37zXZ\0"sv, "\x28\xb5\x2f\xfd"sv, "\x02\x21\x4c\x18"sv,
    "\x04\x22\x4d\x18"sv, "\x89LZO"sv, "\x5d\0\0"sv};
constexpr std::string_view kCpio[] = {"070701"sv, "070702"sv};
constexpr std::size_t kCpioHeader = 110;

bool starts_with_one(ByteView file, std::span<const std::string_view> magics) {
  return std::ranges::any_of(magics, [&](std::string_view magic) { return as_text(file).starts_with(magic); });
}

std::optional<std::uint64_t> hex(std::string_view digits) {
  std::uint64_t out = 0;
  for (const char c : digits) {
    const std::size_t value = "0123456789abcdef0123456789ABCDEF"sv.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    out = out * 16 + value % 16;
  }
  return out;
}

// The length of a cpio archive (the "newc" format) and of the zeros behind it; as far as it is sound.
std::size_t cpio_length(ByteView file) {
  std::size_t at = 0;
  while (starts_with_one(file.subspan(at), kCpio) && file.size() - at >= kCpioHeader) {
    const std::string_view header = as_text(file.subspan(at, kCpioHeader));
    const auto size = hex(header.substr(54, 8)), name = hex(header.substr(94, 8));
    if (!size || !name) return at;
    const std::uint64_t data = round_up(at + kCpioHeader + *name, 4);
    const bool last = as_text(file.subspan(at + kCpioHeader)).starts_with("TRAILER!!!"sv);
    at = std::min<std::uint64_t>(round_up(data + *size, 4), file.size());
    if (last) break;
  }
  while (at < file.size() && file[at] == std::byte{0}) ++at;
  return at;
}

struct Close {
  void operator()(archive* it) const { archive_read_free(it); }
};

Result<bool> compressed_mentions(ByteView file, const NewIds& ids) {
  const std::unique_ptr<archive, Close> reader(archive_read_new());
  const auto failed = [&] { return fail(Code::read_failed, "cannot unpack it: {}", archive_error_string(reader.get())); };
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(reader.get(), file.data(), file.size()) != ARCHIVE_OK) return failed();
  if (archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) return failed();
  Bytes window(1U << 20);
  std::size_t kept = 0;  // what a mention that goes on in the next part begins with
  for (std::uint64_t all = 0; all <= kMostUnpacked;) {
    const auto got = archive_read_data(reader.get(), window.data() + kept, window.size() - kept);
    if (got < 0) return failed();
    if (got == 0) return false;
    all += static_cast<std::uint64_t>(got);
    const std::size_t filled = kept + static_cast<std::size_t>(got);
    if (mentions(ByteView(window).first(filled), ids)) return true;
    kept = std::min(filled, kLongestId + 1);
    std::copy_n(window.begin() + static_cast<std::ptrdiff_t>(filled - kept), kept, window.begin());
  }
  return fail(Code::read_failed, "it holds more than {}", human_size(kMostUnpacked));
}

}  // namespace

bool is_packed(ByteView file) { return starts_with_one(file, kCompressed) || starts_with_one(file, kCpio); }

Result<bool> packed_mentions(ByteView file, const NewIds& ids) {
  if (mentions(file, ids)) return true;
  while (!file.empty()) {
    if (starts_with_one(file, kCompressed)) return compressed_mentions(file, ids);
    const std::size_t archive = cpio_length(file);
    if (archive == 0) return false;
    file = file.subspan(archive);
  }
  return false;
}

}  // namespace stampede::volume
