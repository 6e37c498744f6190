#include "src/deploy/deployment.h"

#include <algorithm>
#include <thread>

#include "src/deploy/clearing.h"
#include "src/deploy/meanwhile.h"
#include "src/deploy/memory.h"
#include "src/deploy/plan.h"
#include "src/deploy/receiver.h"
#include "src/deploy/reserve.h"
#include "src/firstboot/apply.h"

namespace stampede::deploy {

namespace {

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }

class Deployment {
 public:
  explicit Deployment(const Options& options)
      : options_(options), started_(system_clock().now()), reserved_(options.reserved) {
    system_random().fill(deployment_);
    if (options.group) receipt_.group = to_hex(*options.group);
    receipt_.deployment = to_hex(deployment_);
    receipt_.name = options.image.text();
    receipt_.started = to_rfc3339(system_clock().unix_time());
    receipt_.disk.selector = options.disk.text();
  }
  ~Deployment() {
    release_disk();
    if (held_) held_->stop();  // it gives to the node
  }
  Deployment(const Deployment&) = delete;
  Deployment& operator=(const Deployment&) = delete;

  Result<Preview> preview() {
    looks_only_ = true;
    STAMPEDE_CHECK(connect());
    STAMPEDE_CHECK(plan());
    preview_.name = receipt_.name;
    preview_.image = receipt_.image;
    count_preview();
    return preview_;
  }

  Outcome run(const std::function<void(const Outcome&)>& done) {
    const Result<> result = all_stages();
    receipt_.verdict = verdict_of(result);
    if (!result) {
      receipt_.code = static_cast<std::uint8_t>(result.error().code);
      receipt_.error = result.error().message;
    }
    Outcome outcome = sign();
    if (!result) outcome.error = result.error();
    tell_of_rescue_file(result.has_value());
    release_disk();
    deliver(outcome);
    done(outcome);
    if (result) serve_others();
    return outcome;
  }

 private:
  Result<> all_stages() {
    if (options_.refused) return refuse();
    STAMPEDE_CHECK(stage("connect", [this] { return connect(); }));
    STAMPEDE_CHECK(stage("plan", [this] { return plan(); }));
    STAMPEDE_CHECK(stage("transfer", [this] { return transfer(); }));
    STAMPEDE_CHECK(stage("flush", [this] { return flush(); }));
    STAMPEDE_CHECK(stage("read-back", [this] { return read_back(); }));
    STAMPEDE_CHECK(stage("fit", [this] { return fit_to_disk(); }));
    STAMPEDE_CHECK(stage("first-boot", [this] { return first_boot(); }));
    STAMPEDE_CHECK(stage("commit", [this] { return commit(); }));
    return {};
  }

  Result<> refuse() {
    if (reserved_) STAMPEDE_CHECK(reserve());
    if (const auto connected = connect(); !connected)
      options_.warn(fmt::format("the depot is not told: {}", connected.error().message));
    return std::unexpected(*options_.refused);
  }

  // Nothing is refused any more once the disk is being written.
  Verdict verdict_of(const Result<>& result) const {
    if (result) return Verdict::success;
    const bool refused = options_.refused || class_of(result.error().code) == "refused";
    return !begun_ && refused ? Verdict::refused : Verdict::failure;
  }

  // A signal is heeded before each stage, so that one that comes during the last does not make a failure of a whole disk.
  template <class Work>
  Result<> stage(std::string_view name, Work work) {
    if (stopped()) return fail(Code::interrupted, "interrupted before {}", name);
    stage_ = name;
    const Instant start = system_clock().now();
    tell();
    Result<> result = work();
    const Instant end = system_clock().now();
    receipt_.stages.push_back({std::string(name), seconds_of(start - started_), seconds_of(end - start)});
    tell();
    return result;
  }

  Result<> connect() {
    STAMPEDE_TRY(access_, Access::open(options_));
    receipt_.node = trust::to_string(access_->state().key().public_key());
    return access_->connect();
  }

  Result<> plan() {
    STAMPEDE_CHECK(reserve());
    STAMPEDE_CHECK(read_manifest());
    STAMPEDE_CHECK(take_disk());
    return look_for_what_is_there();
  }

  Result<> reserve() {
    Result<> held;
    if (!reserved_) {
      reserved_ = std::make_shared<Reserved>();
      held = deploy::reserve(*access_, options_, *reserved_);
    }
    record_ = reserved_->record;
    if (record_.name.name.empty()) return held;  // it is not known
    receipt_.image = chunker::to_string(record_.image);
    if (options_.image.name.empty()) receipt_.name = record_.name.text();
    receipt_.disk.guid = record_.facts.disk_guid;
    return held;
  }

  // All of it that is kept is the plan.
  Result<> read_manifest() {
    STAMPEDE_TRY(auto image, read_image(*access_, options_, record_));
    cache_ = image.cache;
    root_ = image.manifest.root;
    free_ = unspecified_extents(image.manifest);
    plan_ = std::make_unique<Plan>(std::move(image.manifest));
    receipt_.bytes.total = plan_->data().bytes;
    return {};
  }

  void count_preview() {
    preview_.data = plan_->data().bytes;
    preview_.kept = receipt_.bytes.local;
    preview_.resumes = resumes_;
    std::vector<bool> moved(plan_->chunks());
    for (const Move& move : moves_) moved[plan_->number(move.chunk)] = true;
    std::uint64_t wanted = 0;  // repeats counted
    for (std::uint32_t span = 0; span < plan_->spans().size(); ++span) {
      for (std::uint32_t i = 0; i < plan_->spans()[span].chunks.size(); ++i) {
        const ChunkIndex chunk{{span}, i};
        if (plan_->holds(chunk)) continue;
        const std::uint64_t placed = plan_->placed_size(chunk).bytes;
        if (moved[plan_->number(chunk)]) {
          preview_.moved += placed;
        } else {
          preview_.fetched += plan_->chunk(chunk).length;
          wanted += placed;
        }
      }
    }
    preview_.repeated = wanted - preview_.fetched;
    for (const auto& extent : plan_->zero_extents()) preview_.zeroed += extent.length.bytes;
    preview_.unspecified = root_.disk_size.bytes - preview_.data - preview_.zeroed;
  }

  Result<> take_disk() {
    disk::GuardedDisk guarded = std::move(reserved_->disk);
    preview_.disk = facts_of(guarded.identity, options_.disk);
    receipt_.disk = preview_.disk;
    receipt_.disk.guid = record_.facts.disk_guid;  // as it will be
    if (!guarded.direct)
      options_.warn(fmt::format("{} is on a file system without O_DIRECT: what is read back may come from memory",
                                guarded.identity.path));
    preview_.disks = reserved_->disks;
    preview_.made = guarded.unnamed && !guarded.unnamed->replaces();
    preview_.deployed = reserved_->deployed;
    if (!preview_.deployed.empty() && !looks_only_)
      options_.warn(fmt::format("{} holds {}, which this site deployed", receipt_.disk.path, preview_.deployed));
    preview_.content = guarded.identity.content;
    if (!guarded.unnamed) preview_.lost = guarded.found;
    if (options_.base) note_base(!guarded.created);
    made_ = guarded.created;
    resumes_ = guarded.interrupted && guarded.interrupted->image == record_.image;
    disk::TargetOptions options{.slabs = kSlabs};
    // What an interrupted run left is nobody's.
    if (!guarded.interrupted) options.save = [this](const disk::Rescue& now) { return keep_rescue(now); };
    STAMPEDE_TRY(target_, disk::Target::open(std::move(guarded), root_.disk_size, options));
    preview_.wiped = target_->wiped();
    return {};
  }

  void note_base(bool shared) {
    receipt_.base = BaseFacts{*options_.base, shared};
    if (!shared)
      options_.warn(
          fmt::format("{} can share nothing with {}: it has to be on the same file system, one with reflinks (XFS, "
                      "btrfs); all of it is written",
                      receipt_.disk.path, options_.base->string()));
  }

  // Here it has to be kept; at the depot if that can be.
  Result<> keep_rescue(const disk::Rescue& rescue) {
    const Bytes bytes = encode(rescue);
    const bool own_folder = options_.rescue_folder.empty();
    const auto folder = own_folder ? access_->state().rescue_folder() : options_.rescue_folder;
    STAMPEDE_TRY(rescue_file_, deploy::keep_rescue(folder, rescue, bytes));
    // In another folder may be those of other machines, whose disks are called alike.
    if (own_folder) access_->state().forget_old_rescues(rescue);
    if (const auto kept = node()->store_rescue(rescue.deployment, bytes); !kept)
      options_.warn(fmt::format("the depot does not keep the rescue file: {}", kept.error().message));
    return {};
  }

  void tell_of_rescue_file(bool success) {
    if (rescue_file_.empty() || success) return;
    options_.warn(fmt::format("what {} held at its start and end is kept: stampede disk restore-table {} --disk '{}'",
                              receipt_.disk.path, rescue_file_.string(), options_.disk.text()));
  }

  // The swarm is joined first, without credit: a depot or peers that cannot be had are known of before the disk changes.
  Result<> transfer() {
    STAMPEDE_TRY(auto reader, target_->reader());
    held_ = std::make_unique<HeldSpans>(*plan_, cache_, std::move(reader));
    sources_ = std::make_unique<Sources>(*plan_, moves_);
    receiver_ = std::make_unique<Receiver>(*plan_, *target_, *sources_, *held_, *node(), plan_->held_spans(),
                                           std::clamp(std::thread::hardware_concurrency(), 1U, kMostOpeners));
    STAMPEDE_CHECK(node()->join({.image = record_.image,
                                 .span_count = root_.span_count(),
                                 .have = plan_->held_spans(),
                                 .credit = 0,
                                 .inbox = receiver_.get(),
                                 .held = held_.get()}));
    begun_ = true;
    STAMPEDE_CHECK(target_->begin({record_.image, deployment_, system_clock().unix_time(), target_->identity().size}));
    STAMPEDE_CHECK(receiver_->keep_journal());
    receipt_.wiped = preview_.wiped;
    STAMPEDE_CHECK(move_what_is_elsewhere());
    node()->hold_parts(plan_->lacking_parts(receiver_->placed()));
    receiver_->give_credit();
    clear_all();
    std::optional<Error> disk_failure;
    const auto waited = node()->wait_complete([&](const net::SwarmStatus& status) {
      count(status);
      disk_failure = receiver_->failure();
      return tell() && !disk_failure;
    });
    if (disk_failure) return pass(*disk_failure);
    return waited;
  }

  // What must read as zeros.
  const std::vector<chunker::Extent>& zeros() const {
    return options_.unspecified == Unspecified::zero ? free_ : plan_->zero_extents();
  }

  // All that is not data.
  void clear_all() {
    std::ranges::copy(beyond(root_.disk_size, target_->identity().size), std::back_inserter(free_));
    if (options_.unspecified == Unspecified::zero) {
      free_.insert(free_.end(), plan_->zero_extents().begin(), plan_->zero_extents().end());
      std::ranges::sort(free_, {}, &chunker::Extent::offset);
    }
    clear(*target_, zeros(), Clearing::zero);
    // What a base had in free space is another machine's.
    const bool shares = receipt_.base && receipt_.base->shared;
    if (options_.unspecified == Unspecified::discard || (options_.unspecified == Unspecified::leave && shares))
      clear(*target_, free_, Clearing::discard);
  }

  // An older image, this one with damage, or what an interrupted run left.
  Result<> look_for_what_is_there() {
    if (made_) return {};
    SurveyInput input{.delta = options_.base ? Delta::always : options_.delta,
                      .interrupted = resumes_,
                      .image = root_.disk_size,
                      .progress = [this](Size) { return tell(); },
                      .base = options_.base};
    if (resumes_) {
      STAMPEDE_TRY(input.journal, target_->journal(record_.image, root_.span_count()));
    }
    std::optional<Former> former;
    if (input.delta == Delta::automatic && !resumes_ && reserved_->former)
      former = read_former(*access_, *reserved_->former, target_->identity().size, *plan_);
    if (former) input.former = &*former;
    STAMPEDE_TRY(auto found, survey(*plan_, *target_, input));
    preview_.by_receipt = found.by_former;
    if (found.lost > 0)
      options_.warn(fmt::format(
          "{} chunks that the interrupted deployment had made durable on {} are not there: it had begun to fit them to "
          "this disk, something wrote to it since, or it loses what it was told to keep; they are fetched again",
          found.lost, receipt_.disk.path));
    receipt_.bytes.read = found.read.bytes;
    receipt_.bytes.local = found.kept.bytes;
    moves_ = std::move(found.moves);
    return {};
  }

  Result<> move_what_is_elsewhere() {
    if (moves_.empty()) return {};
    Meanwhile meanwhile(*plan_, *receiver_, *node(), moves_);
    target_->keep_journal_by_time(true);
    receiver_->give_credit();
    const auto go_on = [&, next = Instant()](auto spans) mutable {
      meanwhile.settled(spans);
      const Instant now = system_clock().now();
      if (now < next) return !stopped();
      next = now + std::chrono::milliseconds(100);
      count(node()->status());
      return tell();
    };
    STAMPEDE_TRY(const Size moved, carry_out(*plan_, *target_, std::exchange(moves_, {}), *sources_, go_on));
    target_->keep_journal_by_time(false);
    receipt_.bytes.moved = moved.bytes;
    return {};
  }

  Result<> flush() {
    STAMPEDE_CHECK(target_->flush([this] {
      count(node()->status());
      return tell();
    }));
    if (const auto failure = receiver_->failure()) return pass(*failure);
    receipt_.bytes.durable = receipt_.bytes.total - held_back().bytes;
    receipt_.unspecified = name_of(options_.unspecified);
    if (options_.unspecified == Unspecified::discard && !target_->discards()) {
      receipt_.unspecified = name_of(Unspecified::leave);
      options_.warn(fmt::format("{} cannot discard: its free space is left as it was", receipt_.disk.path));
    }
    return {};
  }

  // Data that is in memory alone until commit().
  Size held_back() const {
    Size held;
    for (std::size_t i = 0; i < plan_->places().size(); ++i)
      if (const auto range = plan_->expected(i); target_->holds_back(range.at, range.length)) held += range.length;
    return held;
  }

  Result<> read_back() {
    STAMPEDE_CHECK(deploy::read_back(*target_, {*plan_, zeros(), options_.verify}, [this](Size done) {
      read_back_ = done.bytes;
      count(node()->status());
      return tell();
    }));
    receipt_.read_back = name_of(options_.verify);
    return {};
  }

  Result<> fit_to_disk() {
    STAMPEDE_TRY(const Fitted fitted, fit(options_.fit, {target_->blocks(), record_.facts, root_.disk_size, options_.warn,
                                                         [this] { return tell(); }}));
    receipt_.fit = fitted.facts;
    receipt_.disk.guid = fitted.disk_guid;
    receipt_.changed_files = fitted.changed_files;
    return {};
  }

  Result<> first_boot() {
    if (options_.instance.empty()) return {};
    const std::string id = fmt::format("iid-{}-{}", receipt_.deployment.substr(0, 12), receipt_.image.substr(0, 12));
    auto changed = firstboot::apply(target_->blocks(), record_.facts, options_.instance, id);
    if (!changed && changed.error().code == Code::cannot_customise)  // too late to refuse
      return fail(Code::write_failed, "{}; deploy again without an instance", changed.error().message);
    if (!changed) return pass(std::move(changed).error());
    receipt_.changed_files.insert(receipt_.changed_files.end(), changed->begin(), changed->end());
    return {};
  }

  Result<> commit() {
    STAMPEDE_CHECK(note_edits());
    STAMPEDE_CHECK(target_->commit());
    receipt_.bytes.durable = receipt_.bytes.total;
    return {};
  }

  // So that `drift` knows them from changes that nobody meant.
  Result<> note_edits() {
    const auto edited = target_->edited_blocks();
    if (edited.size() > kMostAltered) return {};
    auto& altered = receipt_.altered.emplace();
    for (const Offset at : edited) {
      Bytes block(std::min(chunker::kBlock, Offset{target_->identity().size.bytes} - at).bytes);
      STAMPEDE_CHECK(target_->blocks().read(at, block));
      altered.push_back({at.bytes / chunker::kBlock.bytes, digest_of_altered(block)});
    }
    return {};
  }

  // Kept before anything waits for the network: a receipt is not lost with the machine's power.
  Outcome sign() {
    if (node() != nullptr) count(node()->status());
    Outcome outcome;
    outcome.receipt = receipt_;
    outcome.signed_bytes = encode(receipt_);
    if (!access_) return outcome;
    outcome.signature = access_->state().key().sign(trust::kReceiptDomain, outcome.signed_bytes);
    if (!access_->enrolled()) return outcome;
    if (auto kept = access_->state().keep_unsent(outcome.signed_bytes, outcome.signature); !kept)
      options_.warn(kept.error().message);
    return outcome;
  }

  void deliver(Outcome& outcome) {
    const bool reachable = node() != nullptr && (receipt_.verdict == Verdict::success || node()->status().depot_up);
    outcome.delivered = reachable && node()->store_receipt(outcome.signed_bytes, outcome.signature).has_value();
    if (outcome.delivered)
      access_->state().forget_unsent(outcome.signed_bytes);
    else if (access_ && access_->enrolled())
      options_.warn("the depot could not be told; the receipt is kept and sent with the next run");
  }

  // No callback of the disk's writer may come after this, and nobody holds the disk any more.
  void release_disk() {
    if (receiver_) receiver_->stop();
    target_.reset();
    reserved_.reset();
  }

  // The disk is finished and closed; what is in memory goes on helping the others.
  void serve_others() {
    node()->report({static_cast<std::uint8_t>(kStages.size()), true, receipt_.bytes.total, receipt_.bytes.verified,
                    receipt_.bytes.durable});
    node()->linger(options_.serve_for, [this](const net::SwarmStatus&) { return !stopped(); });
  }

  bool stopped() const { return options_.stopped(); }
  net::Node* node() { return access_ ? access_->node() : nullptr; }

  void count(const net::SwarmStatus& status) {
    ByteCounts& bytes = receipt_.bytes;
    bytes.depot = status.from_depot;
    bytes.peers = status.from_peers;
    bytes.multicast = status.from_multicast;
    bytes.served = status.served;
    bytes.verified = bytes.local + bytes.moved + (receiver_ ? receiver_->verified().bytes : 0);
    receipt_.bad_peers = status.bad_peers;
    receipt_.left_multicast = status.left_multicast;
    peers_ = status.peers;
    depot_up_ = status.depot_up;
  }

  // Progress for the caller at once, for the depot every second and at a change of stage. Shall the work go on?
  bool tell() {
    const Instant now = system_clock().now();
    options_.progress({stage_, receipt_.bytes, read_back_, peers_, seconds_of(now - started_), depot_up_});
    if (node() == nullptr || (told_stage_ == stage_ && now - told_ < std::chrono::seconds(1))) return !stopped();
    told_ = now;
    told_stage_ = stage_;
    const auto index = std::ranges::find(kStages, stage_) - kStages.begin();
    node()->report(
        {static_cast<std::uint8_t>(index), false, receipt_.bytes.total, receipt_.bytes.verified, receipt_.bytes.durable});
    return !stopped();
  }

  const Options& options_;
  Instant started_;
  std::array<std::byte, 16> deployment_{};
  Receipt receipt_;
  std::string_view stage_ = kStages[0];
  std::string_view told_stage_;
  Instant told_;
  std::uint64_t read_back_ = 0;
  std::uint32_t peers_ = 0;
  bool depot_up_ = false;
  bool resumes_ = false;
  bool looks_only_ = false;
  bool made_ = false;  // the disk: a file, in this run
  Preview preview_;
  bool begun_ = false;       // the disk changes
  std::vector<Move> moves_;  // of what the disk holds elsewhere
  std::filesystem::path rescue_file_;

  std::shared_ptr<Reserved> reserved_;
  chunker::TagRecord record_;
  chunker::Root root_;
  std::unique_ptr<Plan> plan_;
  Size cache_;                         // of what is served to others
  std::vector<chunker::Extent> free_;  // anything goes there; with all zeros where free space is zeroed
  std::unique_ptr<HeldSpans> held_;
  std::unique_ptr<disk::Target> target_;
  std::unique_ptr<Sources> sources_;
  std::unique_ptr<Receiver> receiver_;
  std::optional<Access> access_;  // goes first: nothing is delivered to the receiver after it
};

}  // namespace

Result<Preview> preview(const Options& options) { return Deployment(options).preview(); }

Outcome deploy(const Options& options, const std::function<void(const Outcome&)>& done) {
  return Deployment(options).run(done);
}

}  // namespace stampede::deploy
