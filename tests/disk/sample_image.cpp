#include "tests/disk/sample_image.h"

#include <algorithm>
#include <memory>

#include "src/disk/commit_region.h"

namespace stampede::disk {

using chunker::ExtentKind;

SampleImage make_image(Random& random, Size size, Size grid) {
  SampleImage image;
  image.bytes.resize(size.bytes);
  for (std::uint64_t at = 0; at < size.bytes;) {
    const std::uint64_t length = std::min((1 + random.below((256 << 10) / grid.bytes)) * grid.bytes, size.bytes - at);
    SampleImage::Piece piece{{at}, {length}, ExtentKind::data, {}};
    const std::uint64_t dice = random.below(10);
    auto* const before = image.pieces.empty() ? nullptr : &image.pieces[random.below(image.pieces.size())];
    if (dice < 2) {
      piece.kind = ExtentKind::zero;
    } else if (dice < 4) {
      piece.kind = ExtentKind::unspecified;
    } else if (dice < 6 && before != nullptr && before->kind == ExtentKind::data &&
               before->length.bytes <= size.bytes - at) {
      std::copy_n(image.bytes.begin() + static_cast<long>(before->at.bytes), before->length.bytes,
                  image.bytes.begin() + static_cast<long>(at));
      before->repeats.push_back({at});
      at += before->length.bytes;
      at = std::min(round_up(at, grid.bytes), size.bytes);
      continue;
    } else {
      random.fill(MutableBytes(image.bytes).subspan(at, length));
    }
    image.pieces.push_back(std::move(piece));
    at += length;
  }
  return image;
}

std::vector<Expected> SampleImage::expected() const {
  std::vector<Expected> out;
  chunker::Digester digester;
  for (const Piece& piece : pieces) {
    if (piece.kind == ExtentKind::unspecified) continue;
    Expected range{piece.at, piece.length, std::nullopt};
    if (piece.kind == ExtentKind::data)
      range.chunk = digester.name(ByteView(bytes).subspan(piece.at.bytes, piece.length.bytes)).id();
    out.push_back(range);
    for (const Offset at : piece.repeats) out.push_back({at, piece.length, range.chunk});
  }
  std::ranges::sort(out, {}, &Expected::at);
  return out;
}

Bytes SampleImage::over(Bytes before, Size disk) const {
  before.resize(disk.bytes);
  // Nothing of the old commit region stays, not even where the image does not care.
  for (const Range& range : commit_ranges(disk, size()))
    std::fill_n(before.begin() + static_cast<long>(range.at.bytes), range.length.bytes, std::byte{0});
  const auto put = [&](Offset at, const Piece& piece) {
    std::copy_n(bytes.begin() + static_cast<long>(piece.at.bytes), piece.length.bytes,
                before.begin() + static_cast<long>(at.bytes));
  };
  for (const Piece& piece : pieces) {
    if (piece.kind == ExtentKind::unspecified) continue;
    put(piece.at, piece);
    for (const Offset at : piece.repeats) put(at, piece);
  }
  return before;
}

std::function<void(Result<>)> Waiter::expect_one() {
  const std::scoped_lock lock(mutex_);
  ++open_;
  return [this](Result<> result) {
    const std::scoped_lock done_lock(mutex_);
    if (!result && first_) first_ = std::move(result);
    --open_;
    changed_.notify_all();
  };
}

Result<> Waiter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return open_ == 0; });
  return first_;
}

namespace {
Slab wait_for_slab(Target& target) {
  // The callback is only a wake-up: another taker may have been faster. One that runs already outlives this call.
  struct Wake {
    std::mutex mutex;
    std::condition_variable changed;
    bool freed = false;
  };
  const auto wake = std::make_shared<Wake>();
  target.on_slab_free([wake] {
    const std::scoped_lock lock(wake->mutex);
    wake->freed = true;
    wake->changed.notify_all();
  });
  Slab slab;
  while (!(slab = target.try_slab())) {
    std::unique_lock lock(wake->mutex);
    wake->changed.wait(lock, [&] { return wake->freed; });
    wake->freed = false;
  }
  target.on_slab_free({});
  return slab;
}
}  // namespace

Result<> transfer(Target& target, const SampleImage& image) {
  Waiter waiter;
  chunker::Digester digester;
  Slab slab;
  std::vector<Placement> placements;
  std::size_t used = 0;
  const auto send = [&] {
    if (slab) target.place(std::move(slab), std::exchange(placements, {}), waiter.expect_one());
    used = 0;
  };
  for (const SampleImage::Piece& piece : image.pieces) {
    if (piece.kind == ExtentKind::zero) target.zero(piece.at, piece.length, waiter.expect_one());
    if (piece.kind != ExtentKind::data) continue;
    if (used + piece.length.bytes > kSlab.bytes) send();
    if (!slab) slab = wait_for_slab(target);
    const MutableBytes there = slab.bytes().subspan(used, piece.length.bytes);
    std::copy_n(image.bytes.begin() + static_cast<long>(piece.at.bytes), there.size(), there.begin());
    const auto chunk = digester.name(there);
    placements.push_back({chunk, piece.at});
    for (const Offset at : piece.repeats) placements.push_back({chunk, at});
    used = round_up(used + there.size(), 512);
  }
  send();
  return waiter.wait();
}

InProgress sample_record(Size disk) {
  InProgress record;
  record.image.digest.fill(std::byte{0x11});
  record.deployment.fill(std::byte{0x22});
  record.started = 1'700'000'000;
  record.disk_size = disk;
  return record;
}

}  // namespace stampede::disk
