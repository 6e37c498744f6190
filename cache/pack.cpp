#include "cache/pack.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "chunker/digest.h"

namespace stampede::cache {
namespace {

constexpr std::string_view kSuffix = ".pack";

template <class... Args>
std::unexpected<Error> damaged(std::string_view name, fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::store_damaged, "pack {} is damaged: {}; move it away and import its images again", name,
              fmt::format(format, std::forward<Args>(args)...));
}

// It may be sound, but nothing can be had from it now.
std::unexpected<Error> unreadable(std::string_view name, const Error& error) {
  return fail(Code::read_failed, "pack {} cannot be read: {}", name, error.message);
}

// preadv(2) until all is there.
Result<> read_parts(const File& file, Offset offset, std::span<iovec> parts) {
  while (!parts.empty()) {
    const ssize_t got = ::preadv(file.fd(), parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset.bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return damaged(file.name(), "cannot read it at byte {}: {}", offset.bytes, errno_text(errno));
    if (got == 0) return damaged(file.name(), "it ends at byte {}", offset.bytes);
    offset += Size{static_cast<std::uint64_t>(got)};
    for (auto left = static_cast<std::size_t>(got); left > 0;) {
      iovec& part = parts.front();
      const std::size_t taken = std::min(left, part.iov_len);
      part.iov_base = static_cast<std::byte*>(part.iov_base) + taken;
      part.iov_len -= taken;
      left -= taken;
      if (part.iov_len == 0) parts = parts.subspan(1);
    }
  }
  return {};
}

}  // namespace

std::filesystem::path pack_path(const std::filesystem::path& folder, const chunker::Sha256& footer) {
  return folder / (to_hex(footer) + std::string(kSuffix));
}

bool is_pack_name(const std::string& name) {
  return name.size() == 64 + kSuffix.size() && name.ends_with(kSuffix) && from_hex(std::string_view(name).substr(0, 64));
}

Result<OpenedPack> Pack::open(const std::filesystem::path& path) {
  // Each look at an entry would ask whether it is time to note it; only the file's owner may do without.
  auto opened = File::open(path, O_RDONLY | O_NOATIME);
  if (!opened) opened = File::open(path, O_RDONLY);
  if (!opened) return unreadable(path.string(), opened.error());
  File file = *std::move(opened);
  STAMPEDE_TRY(const FileStamp stamp, file.stamp());
  const Size size{stamp.size};
  if (size.bytes < kPackHead + kTrailer) return damaged(file.name(), "it has only {} bytes", size.bytes);
  std::array<std::byte, kPackHead> head{};
  std::array<std::byte, kTrailer> trailer{};
  if (auto read = file.read_at({}, head); !read) return unreadable(file.name(), read.error());
  if (!is_pack_head(head)) return damaged(file.name(), "it does not begin as a pack does");
  if (auto read = file.read_at({size.bytes - kTrailer}, trailer); !read) return unreadable(file.name(), read.error());
  const auto at = decode_trailer(trailer, size);
  if (!at) return damaged(file.name(), "{}", at.error().message);

  Bytes bytes(size.bytes - at->bytes);
  if (auto read = file.read_at(*at, bytes); !read) return unreadable(file.name(), read.error());
  if (to_hex(chunker::sha256(bytes)) != path.stem().string())
    return damaged(file.name(), "its footer is not the one that it is named by");
  const auto footer = Footer::decode(bytes, *at);
  if (!footer) return damaged(file.name(), "{}", footer.error().message);
  std::shared_ptr<const Pack> pack(new Pack(std::move(file), stamp, footer->size(), *at));
  return OpenedPack{std::move(pack), std::move(bytes), *footer};
}

Result<PackEntry> Pack::entry(std::uint32_t index) const {
  std::array<std::byte, kFooterEntry> bytes;
  if (auto read = file_.read_at(entry_at(index), bytes); !read) return unreadable(name(), read.error());
  return checked(bytes, index);
}

Result<std::vector<PackEntry>> Pack::entries() const {
  Bytes bytes(std::size_t{size_} * kFooterEntry);
  if (auto read = file_.read_at(entry_at(0), bytes); !read) return unreadable(name(), read.error());
  std::vector<PackEntry> all;
  all.reserve(size_);
  for (std::uint32_t i = 0; i < size_; ++i) {
    STAMPEDE_TRY(const PackEntry entry, checked(ByteView(bytes).subspan(i * kFooterEntry, kFooterEntry), i));
    all.push_back(entry);
  }
  return all;
}

Result<PackEntry> Pack::checked(ByteView bytes, std::uint32_t index) const {
  auto entry = decode_entry(bytes, records_end_);
  if (!entry) return damaged(name(), "entry {} of its footer is altered: {}", index, entry.error().message);
  return *entry;
}

std::span<const PackEntry> Pack::next_run(std::span<const PackEntry> entries, Size most_plain) {
  std::size_t count = 1, plain = entries.front().plain_size;
  for (; count < std::min(entries.size(), kMaxRun) && entries[count - 1].end() == entries[count].record; ++count) {
    plain += entries[count].plain_size;
    if (plain > most_plain.bytes) break;
  }
  return entries.first(count);
}

Result<> Pack::read(std::span<const PackEntry> entries, MutableBytes out) const {
  if (entries.empty() || entries.size() > kMaxRun) return fail(Code::internal, "reading {} records at once", entries.size());
  std::array<RecordHead, kMaxRun> heads;
  std::array<iovec, 2 * kMaxRun> parts;
  std::size_t at = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const MutableBytes sealed = out.subspan(at, entries[i].sealed_size);
    parts[2 * i] = {heads[i].data(), kRecordHead};
    parts[2 * i + 1] = {sealed.data(), sealed.size()};
    at += sealed.size();
  }
  STAMPEDE_CHECK(read_parts(file_, entries.front().record, std::span(parts).first(2 * entries.size())));

  at = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const PackEntry& entry = entries[i];
    const auto found = decode_record_head(heads[i], entry.record);
    if (!found || *found != entry || !matches(heads[i], ByteView(out).subspan(at, entry.sealed_size)))
      return damaged(name(), "chunk {} ({} bytes) at byte {} is altered", to_string(entry.id), entry.plain_size,
                     entry.record.bytes);
    at += entry.sealed_size;
  }
  return {};
}

}  // namespace stampede::cache
