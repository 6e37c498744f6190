// Writes an image of a local store onto a disk, through the same receiver, plan and target as a deployment, without a
// network. For bench/disk.
//
//   bench_write_disk STORE NAME:TAG SELECTOR none|data|full      onto a disk that holds nothing
//
// Prints one line of JSON: seconds since the start until the disk was taken, everything was placed, flushed, read back and
// committed; the bytes of data, the engine, and the most memory it held.
#include <fmt/core.h>
#include <malloc.h>
#include <sys/resource.h>

#include <thread>

#include "chunker/package.h"
#include "src/deploy/clearing.h"
#include "src/deploy/local_feed.h"
#include "src/deploy/read_back.h"
#include "src/deploy/receiver.h"
#include "src/service/library.h"
#include "src/service/packaging.h"

namespace stampede {
namespace {

double seconds_since(Instant start) { return std::chrono::duration<double>(system_clock().now() - start).count(); }

Result<> read_back(disk::Target& target, const deploy::Plan& plan, std::string_view verify) {
  if (verify == "none") return {};
  const auto how = verify == "full" ? deploy::Verify::full : deploy::Verify::data;
  return deploy::read_back(target, {plan, plan.zero_extents(), how}, {});
}

// What a deployment holds while it writes.
struct Writing {
  Writing(deploy::Plan& plan, chunker::ChunkSource& chunks, std::unique_ptr<disk::Target> opened,
          std::unique_ptr<disk::Reader> reader)
      : target(std::move(opened)),
        held(plan, {}, std::move(reader)),
        feed(plan.spans(), chunks),
        receiver(plan, *target, nothing_moves, held, feed, Bitmap(static_cast<std::uint32_t>(plan.spans().size())),
                 std::max(1U, std::thread::hardware_concurrency())) {}
  ~Writing() {
    feed.stop();
    receiver.stop();
    target.reset();  // it tells the receiver of its writes
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

  std::unique_ptr<disk::Target> target;
  deploy::Sources nothing_moves;
  deploy::HeldSpans held;
  deploy::LocalFeed feed;
  deploy::Receiver receiver;
};

Result<> run(std::span<char*> arguments) {
  if (arguments.size() != 5) return fail(Code::usage, "bench_write_disk STORE NAME:TAG SELECTOR none|data|full");
  const std::string_view verify = arguments[4];
  STAMPEDE_TRY(const auto store, cache::Store::open(arguments[1], system_clock()));
  STAMPEDE_TRY(const auto name, chunker::ImageRef::parse(arguments[2]));
  STAMPEDE_TRY(const auto selector, disk::Selector::parse(arguments[3]));

  const Instant start = system_clock().now();
  STAMPEDE_TRY(const auto found, service::find_image(*store, name));
  STAMPEDE_TRY(auto manifest, chunker::load_manifest(store->chunks(), found.record.image));
  const chunker::Root root = manifest.root;
  deploy::Plan plan(std::move(manifest));
  STAMPEDE_TRY(const auto disks, disk::list_disks());
  STAMPEDE_TRY(auto disk, disk::open_guarded(selector, {.size = root.disk_size, .sector_size = root.sector_size}, disks));
  const Size size = disk.identity.size;
  STAMPEDE_TRY(auto target, disk::Target::open(std::move(disk), root.disk_size));
  STAMPEDE_TRY(auto reader, target->reader());
  Writing writing(plan, store->chunks(), std::move(target), std::move(reader));
  disk::Target& to = *writing.target;
  STAMPEDE_CHECK(to.begin({found.record.image, {}, system_clock().unix_time(), size}));
  STAMPEDE_CHECK(writing.receiver.keep_journal());
  const double taken = seconds_since(start);

  writing.feed.set_credit(to.free_slabs());
  writing.feed.start(writing.receiver);
  deploy::clear(to, plan.zero_extents(), deploy::Clearing::zero);
  STAMPEDE_CHECK(writing.feed.wait_complete([&] { return !writing.receiver.failure().has_value(); }));
  const double placed = seconds_since(start);
  STAMPEDE_CHECK(to.flush());
  const double flushed = seconds_since(start);
  STAMPEDE_CHECK(read_back(to, plan, verify));
  const double verified = seconds_since(start);
  STAMPEDE_CHECK(to.commit());
  const double committed = seconds_since(start);

  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  fmt::print(
      R"({{"taken": {:.3f}, "placed": {:.3f}, "flushed": {:.3f}, "verified": {:.3f}, "committed": {:.3f}, "data": {}, )"
      R"("engine": "{}", "most_memory": {}}})"
      "\n",
      taken, placed, flushed, verified, committed, plan.data().bytes, to.engine(), used.ru_maxrss * 1024);
  return {};
}

}  // namespace
}  // namespace stampede

int main(int argc, char** argv) {
  // As the command does: spans come and go by the megabyte.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  const auto result = stampede::run({argv, static_cast<std::size_t>(argc)});
  if (result) return 0;
  fmt::print(stderr, "bench_write_disk: {}\n", result.error().message);
  return static_cast<int>(result.error().code);
}
