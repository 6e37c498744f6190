#include "src/deploy/drift.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "src/base/file.h"
#include "src/base/text.h"
#include "src/deploy/disk_diff.h"
#include "src/deploy/free_space.h"
#include "src/volume/inspect.h"

namespace stampede::deploy {

const std::vector<std::string> kUsualIgnores{
    "/var/log/*",      "/var/cache/*",        "/var/tmp/*",           "/tmp/*",
    "/run/*",          "/var/spool/*",        "/var/lib/systemd/*",   "/var/lib/cloud/*",
    "/var/lib/dhcp/*", "/var/lib/apt/*",      "/var/lib/logrotate/*", "/var/lib/NetworkManager/*",
    "/var/backups/*",  "/var/lib/private/*",  "/lost+found/",         "/etc/machine-id",
    "/var/lib/dbus/*", "/etc/ssh/ssh_host_*", "/etc/resolv.conf",     "/etc/.pwd.lock",
    "/swapfile",       "/root/.bash_history"};

std::string_view name_of(DriftKind kind) {
  switch (kind) {
    case DriftKind::file:
      return "file";
    case DriftKind::metadata:
      return "metadata";
    case DriftKind::outside:
      return "outside";
    case DriftKind::free:
      return "free";
    case DriftKind::ignored:
      return "ignored";
    case DriftKind::mounted:
      return "mounted";
  }
  return "outside";
}

bool counts(DriftKind kind) { return kind == DriftKind::file || kind == DriftKind::metadata || kind == DriftKind::outside; }

namespace {

Size total_of(const std::vector<Range>& ranges) {
  Size total;
  for (const Range& range : ranges) total += range.length;
  return total;
}

// The parts of `ranges` that lie between the two.
std::vector<Range> between(const std::vector<Range>& ranges, Offset from, Offset to) {
  std::vector<Range> inside;
  for (const Range& range : ranges) {
    const Offset begin = std::max(range.at, from), end = std::min(range.end(), to);
    if (begin < end) inside.push_back({begin, end - begin});
  }
  return inside;
}

std::vector<Range> in_order(std::vector<Range> ranges) {
  std::ranges::sort(ranges, {}, &Range::at);
  return ranges;
}

// How much of `some` is in `others`; both in order.
Size common(const std::vector<Range>& some, const std::vector<Range>& others) {
  Size total;
  for (auto a = some.begin(), b = others.begin(); a != some.end() && b != others.end();) {
    const Offset begin = std::max(a->at, b->at), end = std::min(a->end(), b->end());
    if (begin < end) total += end - begin;
    if (a->end() < b->end())
      ++a;
    else
      ++b;
  }
  return total;
}

// A mounted partition through its own device: its file system's latest blocks are in that one's cache, not in the disk's.
class MountedPartition final : public volume::BlockAccess {
 public:
  MountedPartition(std::unique_ptr<volume::BlockAccess> inner, Offset start) : inner_(std::move(inner)), start_(start) {}
  Size size() const override { return Size{start_.bytes} + inner_->size(); }
  Result<> read(Offset offset, MutableBytes out) override {
    if (offset < start_) return fail(Code::internal, "a read before the partition at byte {}", start_.bytes);
    return inner_->read(Offset{(offset - start_).bytes}, out);
  }
  Result<> write(Offset, ByteView) override { return fail(Code::internal, "a mounted partition is only read"); }
  Result<> flush() override { return {}; }

 private:
  std::unique_ptr<volume::BlockAccess> inner_;
  Offset start_;
};

// The mounted partitions of a disk: number → device.
std::map<unsigned, std::string> mounted_partitions(const disk::Disk& disk) {
  std::map<unsigned, std::string> out;
  for (const std::string& mount : disk.mounts) {
    const std::string device = mount.substr(0, mount.find(" on "));
    const auto name = std::filesystem::path(device).filename();
    const auto number = read_file(std::filesystem::path("/sys/class/block") / name / "partition", 64_B);
    if (number) out[static_cast<unsigned>(std::strtoul(std::string(as_text(*number)).c_str(), nullptr, 10))] = device;
  }
  return out;
}

// Tells whose the blocks are that differ.
class Attribution {
 public:
  struct Known {
    std::int64_t made = 0;                   // when the image was made or deployed: mounted since then, it is in use
    bool edits_known = false;                // the blocks that the deployment edited were not counted as differing
    bool edited = false;                     // there are such blocks
    bool fitted = false;                     // and of tables and directories
    std::vector<std::string> changed_files;  // by first boot
  };
  Attribution(const disk::Disk& disk, Known known, const std::vector<std::string>& ignore)
      : path_(disk.path), mounted_(mounted_partitions(disk)), known_(std::move(known)), ignore_(ignore) {}

  // `fresh`: what was free in the image, and was not compared. Both in order.
  Result<std::vector<Drifted>> run(const std::vector<chunker::Partition>& partitions, std::vector<Range> wrong,
                                   const std::vector<Range>& fresh) {
    STAMPEDE_TRY(blocks_, volume::open_blocks(path_, false));
    STAMPEDE_TRY(const auto facts, volume::inspect(path_, false));
    if (partitions.empty()) {
      const bool whole = facts.root && facts.root->partition == 0;
      add_partition(0, {}, whole ? facts.root->filesystem : std::string(), wrong, fresh);
      return std::move(out_);
    }
    for (const auto& partition : partitions) {
      // As the disk has it now: it may have been grown.
      const auto now = std::ranges::find(facts.partitions, partition.number, &volume::PartitionFacts::number);
      const bool same = now != facts.partitions.end() && now->offset == partition.offset;
      const Size length = same ? std::max(now->length, partition.length) : partition.length;
      const auto inside = take(wrong, partition.offset, partition.offset + length);
      add_partition(partition.number, partition.offset, same ? now->filesystem : std::string(), inside,
                    between(fresh, partition.offset, partition.offset + length));
    }
    if (!wrong.empty())
      add(0, !known_.edits_known && known_.fitted ? DriftKind::mounted : DriftKind::outside, "partition table and boot code",
          total_of(wrong));
    std::ranges::sort(out_, [](const Drifted& a, const Drifted& b) {
      return std::tie(a.partition, a.kind, a.what) < std::tie(b.partition, b.kind, b.what);
    });
    return std::move(out_);
  }

 private:
  // Those of `ranges` that lie between the two, which are taken out of it.
  static std::vector<Range> take(std::vector<Range>& ranges, Offset from, Offset to) {
    std::vector<Range> inside = between(ranges, from, to);
    ranges = without(ranges, {{from, to - from}});
    return inside;
  }

  void add(unsigned partition, DriftKind kind, std::string what, Size bytes) {
    out_.push_back({partition, kind, printable(what), bytes});
  }

  void add_partition(unsigned number, Offset offset, const std::string& type, const std::vector<Range>& wrong,
                     const std::vector<Range>& fresh) {
    if (wrong.empty() && fresh.empty()) return;
    if (volume::is_ext(type)) {
      std::vector<Range> asked;
      std::ranges::merge(wrong, fresh, std::back_inserter(asked), {}, &Range::at, &Range::at);
      const auto live = blocks_of_mounted(number, offset);
      if (auto files = volume::Ext4::look(live ? *live : *blocks_, offset)) {
        if (auto owners = files->owners(asked))
          return add_owners(number, *owners, wrong, live != nullptr || files->last_mounted() > known_.made);
      }
    }
    if (wrong.empty()) return;
    add(number, DriftKind::outside, type.empty() ? "no file system that is known" : fmt::format("{} file system", type),
        total_of(wrong));
  }

  std::unique_ptr<volume::BlockAccess> blocks_of_mounted(unsigned number, Offset offset) const {
    const auto device = mounted_.find(number);
    if (device == mounted_.end()) return nullptr;
    auto blocks = volume::open_blocks(device->second, false);
    return blocks ? std::make_unique<MountedPartition>(*std::move(blocks), offset) : nullptr;
  }

  // Of what was free only what belongs to files says anything.
  void add_owners(unsigned number, const std::vector<volume::Owner>& owners, const std::vector<Range>& wrong, bool mounted) {
    for (const volume::Owner& owner : owners) {
      const Size bytes =
          owner.kind == volume::Owner::Kind::named ? total_of(owner.ranges) : common(in_order(owner.ranges), wrong);
      if (bytes == Size{}) continue;
      switch (owner.kind) {
        case volume::Owner::Kind::named:
          add(number, is_ignored(owner.path) ? DriftKind::ignored : DriftKind::file, owner.path, bytes);
          break;
        case volume::Owner::Kind::metadata:
          if (mounted || (!known_.edits_known && known_.edited))
            add(number, DriftKind::mounted,
                mounted ? "file system's own blocks, mounted since" : "file system's own blocks, edited when deployed",
                bytes);
          else
            add(number, DriftKind::metadata, "file system's own blocks", bytes);
          break;
        case volume::Owner::Kind::free:
          add(number, DriftKind::free, "free space", bytes);
      }
    }
  }

  bool is_ignored(const std::string& path) const {
    const auto matches = [&](const std::string& pattern) { return ::fnmatch(pattern.c_str(), path.c_str(), 0) == 0; };
    if (std::ranges::any_of(ignore_, matches)) return true;
    if (known_.edits_known) return false;
    return (known_.fitted && path.ends_with('/')) ||
           std::ranges::find(known_.changed_files, path) != known_.changed_files.end();
  }

  const std::string path_;
  const std::map<unsigned, std::string> mounted_;  // by number: the device
  const Known known_;
  const std::vector<std::string>& ignore_;
  std::unique_ptr<volume::BlockAccess> blocks_;
  std::vector<Drifted> out_;
};

class DriftFinder {
 public:
  explicit DriftFinder(const DriftOptions& options) : options_(options), started_(system_clock().now()) {}

  Result<Drift> run() {
    STAMPEDE_TRY(access_, Access::open(options_));
    STAMPEDE_TRY(const auto disks, disk::list_disks());
    STAMPEDE_TRY(disk_, disk::look_at_selected(options_.disk, disks));
    out_.live = !disk_.mounts.empty();
    STAMPEDE_CHECK(access_->connect());
    STAMPEDE_CHECK(find_image());
    STAMPEDE_TRY(const auto manifest, access_->manifest(record_));
    if (disk_.size < manifest.root.disk_size)
      return fail(Code::too_small, "{} has {} bytes, and {} has {}: it cannot be on it", disk_.path, disk_.size.bytes,
                  record_.name.text(), manifest.root.disk_size.bytes);
    STAMPEDE_TRY(auto wrong, compare(manifest));
    const bool fitted = base_.fit.backup_moved || base_.fit.grown_partition != 0 || base_.fit.fresh_uuids;
    Attribution attribution(
        disk_, {made_, base_.altered.has_value(), fitted || !base_.changed_files.empty(), fitted, base_.changed_files},
        options_.ignore);
    STAMPEDE_TRY(out_.all, attribution.run(manifest.root.partitions, std::move(wrong), free_before(manifest)));
    write_report();
    deliver();
    return std::move(out_);
  }

 private:
  // The last receipt's, unless one is named.
  Result<> find_image() {
    if (options_.image) {
      STAMPEDE_TRY(record_, access_->resolve(*options_.image));
      made_ = parse_rfc3339(record_.created).value_or(0);
    }
    STAMPEDE_TRY(auto found, access_->receipt_of(disk_));
    if (!found && options_.image) return {};
    if (!found)
      return fail(Code::not_found, "the depot has no receipt of {} as it is now (GUID {}): name its image by --image",
                  disk_.path, disk_.guid.empty() ? "none" : disk_.guid);
    if (!options_.image) {
      // By its id: the name may be another image by now.
      STAMPEDE_TRY(const auto image, chunker::ImageRef::parse(found->image));
      STAMPEDE_TRY(record_, access_->resolve(image));
      if (chunker::to_string(record_.image) != found->image)
        return fail(Code::not_found, "the receipt of {} names '{}', which is no image", disk_.path, printable(found->image));
      name_ = found->name;
    }
    if (chunker::to_string(record_.image) != found->image) return {};
    base_ = *std::move(found);
    out_.receipt_image = base_.deployment;
    made_ = parse_rfc3339(base_.started).value_or(0);
    return {};
  }

  Result<std::vector<Range>> compare(const chunker::Manifest& manifest) {
    DiskDiff diff(disk_.path, disk_.size, manifest, base_.altered.value_or(std::vector<AlteredBlock>{}));
    STAMPEDE_CHECK(
        diff.read([this](Size read, Size total) { return !options_.stopped() && options_.progress(read, total); }));
    STAMPEDE_CHECK(diff.narrow(kExact, [this](const auto& ids) { return access_->node()->fetch(ids); }));
    out_.read = diff.bytes_read();
    return diff.wrong();
  }

  // Free in the image, but for what the deployment itself wrote there, which was compared.
  std::vector<Range> free_before(const chunker::Manifest& manifest) const {
    std::vector<std::uint64_t> altered;
    if (base_.altered)
      for (const AlteredBlock& block : *base_.altered) altered.push_back(block.number);
    std::ranges::sort(altered);
    std::vector<Range> out;
    for (const chunker::Extent& extent : without_blocks(unspecified_extents(manifest), altered))
      out.push_back({extent.offset, extent.length});
    return out;
  }

  void write_report() {
    Receipt& report = out_.report;
    report.deployment = base_.deployment;
    report.node = trust::to_string(access_->state().key().public_key());
    report.name = name_.empty() ? record_.name.text() : name_;
    report.image = chunker::to_string(record_.image);
    report.started = to_rfc3339(system_clock().unix_time());
    report.disk = facts_of(disk_, options_.disk);
    report.bytes.read = out_.read.bytes;
    report.stages.push_back({"drift", 0, std::chrono::duration<double>(system_clock().now() - started_).count()});
    for (const Drifted& one : out_.all) {
      if (!counts(one.kind)) continue;
      report.bytes.differs += one.bytes.bytes;
      report.changed_files.push_back(one.kind == DriftKind::file ? one.what : fmt::format("({})", one.what));
    }
    report.verdict = report.bytes.differs > 0 ? Verdict::drifted : Verdict::clean;
    if (out_.drifted()) report.code = static_cast<std::uint8_t>(Code::drifted);
    if (out_.live) report.error = "approximate: the disk is mounted";
  }

  void deliver() {
    const Bytes bytes = encode(out_.report);
    const auto signature = access_->state().key().sign(trust::kReceiptDomain, bytes);
    const auto stored = access_->node()->store_receipt(bytes, signature);
    out_.delivered = stored.has_value();
    if (!stored) options_.warn(fmt::format("the depot does not keep the result: {}", stored.error().message));
  }

  const DriftOptions& options_;
  const Instant started_;
  std::optional<Access> access_;
  disk::Disk disk_;
  chunker::TagRecord record_;
  std::string name_;  // as the receipt has it; empty: as the record does
  Receipt base_;      // of the deployment that is looked at; empty without one
  UnixTime made_ = 0;
  Drift out_;
};

}  // namespace

Result<Drift> find_drift(const DriftOptions& options) { return DriftFinder(options).run(); }

}  // namespace stampede::deploy
