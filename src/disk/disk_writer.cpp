#include "src/disk/disk_writer.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "src/disk/compare.h"
#include "src/disk/placing.h"

namespace stampede::disk {

namespace {
constexpr std::chrono::milliseconds kTick{100};
// That one call of place() puts things together in; the others are for what comes.
constexpr std::size_t kMostGathered = 2;

void put_together(const PlannedGather& gather, MutableBytes out) {
  for (const PlannedCopy& part : gather.parts)
    std::ranges::copy(part.bytes, out.subspan((part.at - gather.at).bytes).begin());
}
}  // namespace

struct DiskWriter::Job {
  Slab slab;
  std::vector<Slab> gathered;  // where what cannot be written from the first one was put together
  Size size;
  std::function<void(Result<>)> done;
  std::atomic<std::size_t> parts = 1;  // one is the call that made it
  std::mutex mutex;
  Result<> result;
};

Result<std::unique_ptr<Target>> Target::open(GuardedDisk disk, Size image_size, const TargetOptions& options) {
  if (disk.identity.size < image_size)
    return fail(Code::too_small, "{} has {} bytes, the image needs {}", disk.identity.path, disk.identity.size.bytes,
                image_size.bytes);
  auto writer = std::make_unique<DiskWriter>(std::move(disk), image_size, options);
  STAMPEDE_CHECK(writer->start());
  return writer;
}

DiskWriter::DiskWriter(GuardedDisk disk, Size image_size, const TargetOptions& options)
    : options_(options),
      image_size_(image_size),
      disk_(std::move(disk), options.faults),
      region_(disk_.size(), image_size),
      stale_(find_stale(disk_.guarded().found, disk_.size(), image_size)),
      blocks_(disk_, region_, written_, [this] { return flush({}); }),
      slabs_(options.slabs) {}

DiskWriter::~DiskWriter() {
  journal_.reset();
  // A callback may begin the next piece of work: from here on that fails, and whoever is in the middle of it comes to an
  // end.
  latch_.set({Code::interrupted, fmt::format("writing {} was interrupted", disk_.path())});
  if (ring_) {
    std::promise<void> idle;
    ring_->post([&idle] { idle.set_value(); });
    idle.get_future().wait();
  }
  zeroer_.reset();  // first: its results go through the ring
  if (ring_) ring_->stop();
}

Result<> DiskWriter::start() {
  std::vector<MutableBytes> buffers;
  for (std::uint32_t i = 0; i < slabs_.count(); ++i) buffers.push_back(slabs_.memory(i));
  const auto& image = disk_.guarded().image;
  STAMPEDE_TRY(ring_, Ring::open({disk_.fd(), disk_.path(), std::max(options_.depth, 1U), options_.engine,
                                  image ? &image->engine() : nullptr},
                                 std::move(buffers), latch_, options_.faults));
  zeroer_ = std::make_unique<Zeroer>(disk_, latch_);
  return {};
}

Result<> DiskWriter::check_usable() const {
  STAMPEDE_CHECK(latch_.check());
  if (stage_ != Stage::held_back) return fail(Code::internal, "{} is written outside a deployment", disk_.path());
  return {};
}

std::shared_ptr<DiskWriter::Job> DiskWriter::start_job(std::function<void(Result<>)> done) {
  auto job = std::make_shared<Job>();
  job->done = std::move(done);
  job->result = check_usable();
  const std::scoped_lock lock(mutex_);
  ++jobs_;
  return job;
}

// May be called on any thread; the last part's call sends the job to the ring thread, where callbacks run.
void DiskWriter::part_done(const std::shared_ptr<Job>& job, Result<> result) {
  if (!result) {
    const std::scoped_lock lock(job->mutex);
    if (job->result) job->result = std::move(result);
  }
  if (--job->parts == 0) ring_->post([this, job] { finish(*job); });
}

void DiskWriter::finish(Job& job) {
  if (job.result)
    written_ += job.size.bytes;
  else
    latch_.set(job.result.error());
  job.gathered.clear();
  job.slab = {};  // before `done`, which may want a slab
  std::exchange(job.done, {})(std::move(job.result));
  const std::scoped_lock lock(mutex_);
  if (--jobs_ == 0) changed_.notify_one();
}

void DiskWriter::place(Slab slab, std::vector<Placement> placements, std::function<void(Result<>)> done) {
  const auto job = start_job(std::move(done));
  job->slab = std::move(slab);
  if (!job->result) return part_done(job, {});
  const PlanInput input{disk_.size(), disk_.guarded().alignment, job->slab.bytes()};
  auto plan = plan_placements(input, placements, region_);
  if (!plan) return part_done(job, std::unexpected(std::move(plan).error()));
  job->size = plan->placed;
  std::vector<Transfer> transfers;
  const auto add = [&](Offset at, MutableBytes bytes, const Slab& in, auto done_one) {
    ++job->parts;
    transfers.push_back({true, at.bytes, bytes, bytes.size(), static_cast<int>(in.index()), std::move(done_one)});
  };
  for (const PlannedWrite& write : plan->writes)
    add(write.at, write.bytes, job->slab, [this, job](Result<> result) { part_done(job, std::move(result)); });
  MutableBytes room;
  Result<> at_once;
  for (const PlannedGather& gather : plan->gathered) {
    if (room.size() < gather.length.bytes) {
      Slab another = job->gathered.size() < kMostGathered ? slabs_.try_take() : Slab();
      if (!another) {
        if (at_once) at_once = write(gather);
        continue;
      }
      room = another.bytes();
      job->gathered.push_back(std::move(another));
    }
    const MutableBytes bytes = room.first(gather.length.bytes);
    room = room.subspan(bytes.size());
    put_together(gather, bytes);
    add(gather.at, bytes, job->gathered.back(),
        [this, job, turn = turns_.whole({gather.at, gather.length})](Result<> result) mutable {
          turn.end();
          part_done(job, std::move(result));
        });
  }
  if (!transfers.empty()) ring_->submit(std::move(transfers));
  part_done(job, at_once ? write(plan->copied) : at_once);
}

Result<> DiskWriter::write(const PlannedGather& gather) {
  Bytes bytes(gather.length.bytes);
  put_together(gather, bytes);
  const auto turn = turns_.whole({gather.at, gather.length});
  return disk_.write(gather.at, bytes);
}

// Of two that share a block each has to see what the other wrote: the disk's mutex is held from reading a block to writing
// it back, and nobody writes such a block whole meanwhile.
Result<> DiskWriter::write(std::span<const PlannedCopy> copied) {
  const std::uint64_t alignment = disk_.guarded().alignment;
  for (const PlannedCopy& copy : copied) {
    const Offset from{round_down(copy.at.bytes, alignment)}, to{round_up(copy.at.bytes + copy.bytes.size(), alignment)};
    const auto turn = turns_.part({from, to - from});
    STAMPEDE_CHECK(disk_.write(copy.at, copy.bytes));
  }
  return {};
}

void DiskWriter::zero(Offset at, Size length, std::function<void(Result<>)> done) {
  without_bytes(Zeroer::Work::zero, {at, length}, std::move(done));
}

void DiskWriter::discard(Offset at, Size length, std::function<void(Result<>)> done) {
  without_bytes(Zeroer::Work::discard, {at, length}, std::move(done));
}

void DiskWriter::without_bytes(Zeroer::Work work, Range range, std::function<void(Result<>)> done) {
  const auto job = start_job(std::move(done));
  if (!job->result) return part_done(job, {});
  if (range.at.bytes > disk_.size().bytes || range.length > disk_.size() - Size{range.at.bytes})
    return part_done(job, fail(Code::internal, "zeros at byte {} are beyond the end of {}", range.at.bytes, disk_.path()));
  job->size = range.length;
  for (const auto& part : region_.split(range)) {
    if (part.inside) {
      if (work == Zeroer::Work::zero) region_.zero(part.range);
      continue;
    }
    ++job->parts;
    zeroer_->submit(work, part.range, [this, job](Result<> result) { part_done(job, std::move(result)); });
  }
  part_done(job, {});
}

Result<> DiskWriter::wait_for_jobs(const std::function<bool()>& go_on) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kTick, [this] { return jobs_ == 0; })) {
    lock.unlock();
    if (go_on && !go_on()) return fail(Code::interrupted, "writing {} was interrupted", disk_.path());
    lock.lock();
  }
  return {};
}

Result<> DiskWriter::flush(const std::function<bool()>& go_on) {
  STAMPEDE_CHECK(wait_for_jobs(go_on));
  STAMPEDE_CHECK(latch_.check());
  if (written_ != flushed_) STAMPEDE_CHECK(sync());
  return end_journal();
}

// All that was placed is durable now, and a second run has to know it even if it is the read-back that is interrupted.
Result<> DiskWriter::end_journal() {
  const auto journal = std::move(journal_);
  if (!journal) return {};
  journal->stop();
  STAMPEDE_CHECK(latch_.check());
  STAMPEDE_CHECK(journal->write_last());
  return sync();
}

Result<std::optional<Bitmap>> DiskWriter::journal(const chunker::ImageId& image, std::uint32_t spans) {
  if (stage_ != Stage::opened) return fail(Code::internal, "the journal of {} is asked for after begin()", disk_.path());
  auto record = JournalKeeper::read(disk_, image, spans);
  if (!record) return std::nullopt;
  return std::move(record->durable);
}

Result<> DiskWriter::keep_journal(std::function<Bitmap()> placed) {
  STAMPEDE_CHECK(check_usable());
  Bitmap durable = placed();
  const bool resumed = durable.count() > 0;
  if (!JournalKeeper::fits(disk_.size(), durable.size())) return {};
  if (disk_.guarded().named_last) return {};  // nobody goes on with it
  journal_ = std::make_unique<JournalKeeper>(disk_, latch_, record_.image, std::move(placed), options_.journal_every);
  STAMPEDE_CHECK(journal_->start(std::move(durable)));
  // What an earlier run had done is lost to a third one as seldom as can be.
  return resumed ? sync() : Result<>{};
}

Result<> DiskWriter::sync() {
  const std::uint64_t written = written_;
  auto flushed = disk_.flush();
  if (flushed) flushed_ = written;
  // A flush that failed once tells of lost writes once only: the next one would succeed.
  if (!flushed) latch_.set(flushed.error());
  return flushed;
}

Result<std::vector<bool>> DiskWriter::compare(std::span<const Expected> expected,
                                              const std::function<bool(Size done)>& progress,
                                              std::vector<chunker::Fingerprint>* learnt) {
  STAMPEDE_CHECK(wait_for_jobs([&] { return !progress || progress({}); }));
  disk_.drop_cache();
  const unsigned threads = options_.hash_threads > 0 ? options_.hash_threads : std::thread::hardware_concurrency();
  const CommitRegion* const held = stage_ == Stage::held_back ? &region_ : nullptr;
  return Comparer({*ring_, disk_, slabs_, held, threads}, progress).run(expected, learnt);
}

StepsInput DiskWriter::steps_input() const { return {disk_.size(), disk_.guarded().identity.sector_size, record_}; }

Result<Bytes> DiskWriter::begin(const InProgress& record) {
  if (stage_ != Stage::opened) return fail(Code::internal, "begin() twice on {}", disk_.path());
  record_ = record;
  CommitRegion saved(disk_.size(), image_size_);
  Bytes all;
  for (const Range& range : region_.ranges()) {
    Bytes bytes(range.length.bytes);
    STAMPEDE_CHECK(disk_.read(range.at, bytes));
    saved.write(range.at, bytes);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  if (options_.save && !is_new()) STAMPEDE_CHECK(save());
  for (const Step& step : begin_steps(steps_input(), saved)) {
    STAMPEDE_CHECK(run_step("begin", step));
    if (step.name == "mark") STAMPEDE_CHECK(wipe_stale());
  }
  if (const auto& file = disk_.guarded().unnamed; file && !disk_.guarded().named_last) STAMPEDE_CHECK(file->publish());
  stage_ = Stage::held_back;
  blocks_.hold(true);
  disk_.announce_table();  // there is none: whoever still saw the old partitions could mount them
  return all;
}

Result<> DiskWriter::save() {
  STAMPEDE_TRY(const File file, File::open(fmt::format("/proc/self/fd/{}", disk_.fd()), O_RDONLY));
  std::vector<Range> extra;
  for (const Stale& stale : stale_) extra.insert(extra.end(), stale.ranges.begin(), stale.ranges.end());
  Rescue now{record_.deployment, record_.started, disk_.guarded().identity, image_size_, {}};
  bool blank = true;
  const auto ranges = rescue_ranges(file, disk_.size(), now.disk.sector_size, image_size_, extra);
  for (const Range& range : extra)
    if (!covers(ranges, range))
      return fail(Code::usage, "{} has more marks of volume managers than a rescue file holds: wipe them first (wipefs)",
                  disk_.path());
  for (const Range& range : ranges) {
    Bytes bytes(range.length.bytes);
    STAMPEDE_CHECK(disk_.read(range.at, bytes));
    blank = blank && all_zero(bytes);
    now.runs.push_back({range.at, std::move(bytes)});
  }
  return blank ? Result<>{} : options_.save(now);
}

Result<> DiskWriter::wipe_stale() {
  if (stale_.empty()) return {};
  for (const Stale& stale : stale_)
    for (const Range& range : stale.ranges) STAMPEDE_CHECK(disk_.write(range.at, Bytes(range.length.bytes)));
  return end_step("begin", "stale");
}

std::vector<std::string> DiskWriter::wiped() const {
  std::vector<std::string> all;
  for (const Stale& stale : stale_)
    for (const Range& range : stale.ranges)
      all.push_back(fmt::format("{}, {} from byte {} on", stale.what, human_size(range.length.bytes), range.at.bytes));
  return all;
}

Result<> DiskWriter::run_step(std::string_view stage, const Step& step) {
  for (const Patch& patch : step.patches) STAMPEDE_CHECK(disk_.write(patch.at, patch.bytes));
  return end_step(stage, step.name);
}

// All that was written is durable.
Result<> DiskWriter::end_step(std::string_view stage, std::string_view step) {
  STAMPEDE_CHECK(latch_.check());
  STAMPEDE_CHECK(sync());
  if (options_.after_step) options_.after_step(stage, step);
  return {};
}

bool DiskWriter::holds_back(Offset at, Size length) const {
  return std::ranges::any_of(region_.ranges(),
                             [&](const Range& range) { return at < range.end() && range.at < at + length; });
}

Result<> DiskWriter::commit() {
  if (stage_ != Stage::held_back) return fail(Code::internal, "commit() of {} without begin()", disk_.path());
  STAMPEDE_CHECK(flush());
  std::vector<Step> steps = commit_steps(steps_input(), region_);
  const Step boot_sector = std::move(steps.back());
  steps.pop_back();
  const Offset sector{disk_.guarded().identity.sector_size};
  for (const Step& step : steps) STAMPEDE_CHECK(run_step("commit", step));
  STAMPEDE_CHECK(read_back(sector, {disk_.size().bytes}));
  STAMPEDE_CHECK(run_step("commit", boot_sector));
  STAMPEDE_CHECK(read_back({}, sector));
  blocks_.hold(false);
  stage_ = Stage::committed;
  disk_.announce_table();
  return publish();
}

Result<> DiskWriter::publish() {
  if (const auto& image = disk_.guarded().image)
    if (auto closed = image->close(); !closed) return pass(std::move(closed).error(), disk_.path());
  return disk_.guarded().named_last ? disk_.guarded().unnamed->publish() : Result<>{};
}

// The commit region between the two offsets, from the disk.
Result<> DiskWriter::read_back(Offset from, Offset to) {
  disk_.drop_cache();
  for (const Patch& expected : region_.slice(from, to)) {
    Bytes bytes(expected.bytes.size());
    STAMPEDE_CHECK(disk_.read(expected.at, bytes));
    const auto [wrong, _] = std::ranges::mismatch(bytes, expected.bytes);
    if (wrong == bytes.end()) continue;
    return fail(Code::readback_mismatch, "{} does not return what was written at byte {}: replace the disk", disk_.path(),
                expected.at.bytes + static_cast<std::uint64_t>(wrong - bytes.begin()));
  }
  return {};
}

}  // namespace stampede::disk
