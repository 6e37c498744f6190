#include "src/disk/reader.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "src/base/aligned.h"
#include "src/disk/target.h"

namespace stampede::disk {

namespace {

constexpr std::size_t kRequest = 512UL << 10;
constexpr std::size_t kMostRequests = 16;
// Made known to the kernel by itself, when it is first read into.
constexpr std::size_t kPart = kSlab.bytes;

bool contains(ByteView memory, ByteView part) {
  return part.data() >= memory.data() && part.data() + part.size() <= memory.data() + memory.size();
}

}  // namespace

void FileReader::will_read_into(MutableBytes memory) {
  auto engine = open_engine({.fd = file_.fd(), .path = file_.name(), .depth = kMostRequests});
  if (!engine || (*engine)->name() != "io_uring") return;
  std::vector<MutableBytes> parts;
  for (std::size_t at = 0; at < memory.size(); at += kPart)
    parts.push_back(memory.subspan(at, std::min(kPart, memory.size() - at)));
  (*engine)->register_buffers(parts);
  engine_ = *std::move(engine);
  memory_ = memory;
}

Result<std::size_t> FileReader::read_some_at(Offset offset, MutableBytes out) const {
  if (offset.bytes % alignment_ != 0) return read_unaligned(offset, out);
  // What fails or ends early says why when it is asked in the usual way.
  if (engine_ && !failed_ && contains(memory_, out) && read_all(offset, out)) return out.size();
  return file_.read_some_at(offset, out);
}

Result<std::size_t> FileReader::read_unaligned(Offset offset, MutableBytes out) const {
  const Offset from{round_down(offset.bytes, alignment_)};
  const std::size_t skip = (offset - from).bytes;
  const AlignedMemory whole(round_up(skip + out.size(), alignment_));
  STAMPEDE_TRY(const std::size_t got, file_.read_some_at(from, whole.bytes()));
  const ByteView found = ByteView(whole.bytes()).first(std::min(got, skip + out.size())).subspan(std::min(got, skip));
  std::ranges::copy(found, out.begin());
  return found.size();
}

bool FileReader::read_all(Offset offset, MutableBytes out) const {
  std::array<std::size_t, kMostRequests> wanted{};
  std::vector<Completion> done;
  bool all = true;
  while (!out.empty() && all) {
    std::size_t started = 0;
    for (; started < kMostRequests && !out.empty(); ++started) {
      const auto at = static_cast<std::size_t>(out.data() - memory_.data());
      const MutableBytes part = out.first(std::min({kRequest, out.size(), kPart - at % kPart}));
      wanted[started] = part.size();
      engine_->start({.write = false,
                      .at = offset.bytes,
                      .bytes = part,
                      .buffer = static_cast<int>(at / kPart),
                      .tag = &wanted[started]});
      offset += Size{part.size()};
      out = out.subspan(part.size());
    }
    for (done.clear(); done.size() < started;) engine_->wait(true, done);
    for (const Completion& one : done) {
      all = all && one.result >= 0 && static_cast<std::size_t>(one.result) == *static_cast<std::size_t*>(one.tag);
      failed_ = failed_ || (one.result < 0 && one.result != -EINTR && one.result != -EAGAIN);
    }
  }
  return all;
}

}  // namespace stampede::disk
