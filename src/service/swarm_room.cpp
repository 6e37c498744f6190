#include "src/service/swarm_room.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "chunker/package.h"

namespace stampede::service {

namespace {
// A member needs some others, not all: with more than this each is told a different part of the ring.
constexpr std::size_t kListed = 64;
// No policy asks for more.
constexpr Duration kReportSpacing = std::chrono::milliseconds(2);
constexpr Duration kTellPerMember = std::chrono::milliseconds(1);
}  // namespace

Result<std::shared_ptr<SwarmRoom>> SwarmRoom::open(cache::Store& store, const chunker::ImageId& image, Worker& reader) {
  STAMPEDE_TRY(auto manifest, chunker::load_manifest(store.chunks(), image));
  const std::uint32_t spans = manifest.root.span_count();
  auto shared = std::make_shared<const chunker::Manifest>(std::move(manifest));
  return std::shared_ptr<SwarmRoom>(new SwarmRoom(cache::spans_from(std::move(shared), store.chunks()), spans, reader));
}

void SwarmRoom::read(std::uint32_t span, std::function<void(std::shared_ptr<const chunker::SealedSpan>)> give) {
  reader_.run(
      [spans = spans_, span, give = std::move(give)] { return [give, sealed = spans->span({span})] { give(sealed); }; });
}

Result<swarm::MemberId> SwarmRoom::join(const wire::Join& join, wire::Member listed, net::Connection::Ptr connection) {
  auto have = Bitmap::from_bytes(join.span_count, join.have);
  if (join.span_count != span_count_ || !have)
    return fail(Code::protocol, "the image has {} spans, not {}", span_count_, join.span_count);
  evict(listed.node);
  const swarm::MemberId id = next_++;
  const Instant now = system_clock().now();
  Member& joined = members_[id];
  joined.listed = std::move(listed);
  joined.connection = std::move(connection);
  joined.have = *have;
  origin_.join(id, std::move(*have), now, join.port != 0);
  changed_ = true;
  if (cast_) offer(joined);
  // The newcomer at once: until it knows that it is not alone it takes everything from the depot. After the offer, or it
  // would ask for what will come.
  joined.connection->send(list_for(id, origin_.active(now), now));
  return id;
}

void SwarmRoom::evict(const wire::Key& node) {
  const auto old = std::ranges::find(members_, node, [](const auto& m) { return m.second.listed.node; });
  if (old == members_.end()) return;
  old->second.connection->close({Code::busy, "the node has joined anew"});
  leave(old->first);
}

void SwarmRoom::leave(swarm::MemberId member) {
  const auto gone = members_.extract(member);
  if (gone.empty()) return;
  origin_.leave(member);
  if (gone.mapped().listens) gone.mapped().stream->caster->left(member);
  changed_ = true;
}

void SwarmRoom::cast(net::Loop& loop, CastOptions options, net::Caster::Coming coming) {
  loop_ = &loop;
  cast_ = std::move(options);
  coming_ = std::move(coming);
}

void SwarmRoom::offer(Member& member) {
  const std::size_t mtu = member.connection->path_mtu();
  Stream* const stream = stream_on(net::interface_of(member.connection->local_address()), mtu);
  if (stream == nullptr) return;
  const net::Caster& caster = *stream->caster;
  if (caster.packet_size() > mtu)
    return spdlog::warn(
        "{} takes packets of {} bytes, the multicast stream has {}: it gets the image without; --multicast-mtu {} "
        "serves it too",
        member.connection->address(), mtu, caster.packet_size(), mtu);
  member.stream = stream;
  member.connection->send(caster.offer());
}

// A target that knows one end of a stream alone is told that one.
void SwarmRoom::tell(swarm::MemberId member, wire::MulticastNews news) {
  const auto found = members_.find(member);
  if (found == members_.end()) return;
  net::Connection& connection = *found->second.connection;
  if (news.end == wire::StreamEnd::too_slow && (connection.features() & wire::kTooSlow) == 0)
    news.end = wire::StreamEnd::over;
  connection.send(news);
}

SwarmRoom::Stream* SwarmRoom::stream_on(unsigned interface, std::size_t mtu) {
  const auto& allowed = cast_->interfaces;
  if (!allowed.empty() && std::ranges::find(allowed, interface) == allowed.end()) return nullptr;
  const auto [at, fresh] = streams_.try_emplace(interface);
  if (fresh || (at->second && at->second->is_over())) replace(at->second, open_stream(interface, mtu));
  return at->second.get();
}

bool SwarmRoom::Stream::is_over() const {
  return caster->figures().data > 0 && caster->status().phase == net::CastStatus::Phase::idle;
}

// What it left out, and its packets' size, were for those who listened.
void SwarmRoom::replace(std::unique_ptr<Stream>& there, std::unique_ptr<Stream> stream) {
  if (!stream) return;
  const auto old = std::exchange(there, std::move(stream));
  for (auto& [id, member] : members_) {
    if (old == nullptr || member.stream != old.get()) continue;
    member.stream = nullptr;
    if (!std::exchange(member.listens, false)) offer(member);
  }
}

std::unique_ptr<SwarmRoom::Stream> SwarmRoom::open_stream(unsigned interface, std::size_t mtu) {
  net::CastRoute route = *cast_;
  route.interface = interface;
  route.mtu = cast_->most.value_or(interface == 0 ? std::min<std::size_t>(mtu, 1500) : mtu);
  auto stream = std::make_unique<Stream>(nullptr, StreamCuts(span_count_));
  net::Caster::Read read = [this, to = stream.get()](std::uint32_t span, net::Caster::Give give) {
    reader_.run([spans = spans_, span, cut = cut_of(*to, span), give = std::move(give)] {
      const auto sealed = cut.cut(spans->span({span}));
      return [give, frame = sealed ? net::frame_of(*sealed) : nullptr] { give(frame); };
    });
  };
  auto opened = net::Caster::open(
      *loop_, route, span_count_, std::move(read),
      [this](swarm::MemberId member, const wire::MulticastNews& news) { tell(member, news); }, coming_);
  if (!opened) {
    spdlog::warn("{}; those who come by it get the image without", opened.error().message);
    return nullptr;
  }
  stream->caster = *std::move(opened);
  return stream;
}

net::PartialSpans SwarmRoom::cut_of(Stream& stream, std::uint32_t span) const {
  if (!stream.cuts.is_decided(span)) {
    std::vector<const net::PartialSpans*> lacking;
    for (const auto& [id, member] : members_)
      if (member.listens && member.stream == &stream && !member.have.test(span)) lacking.push_back(&member.partial);
    stream.cuts.decide(span, lacking);
  }
  return stream.cuts.of(span);
}

void SwarmRoom::has(swarm::MemberId member, std::uint32_t span, Instant now) {
  origin_.has(member, span, now);
  const auto found = members_.find(member);
  if (found == members_.end()) return;
  found->second.have.set(span);
  if (found->second.listens) found->second.stream->caster->has(member, span);
}

void SwarmRoom::partial(swarm::MemberId member, wire::Partial news) {
  if (const auto found = members_.find(member); found != members_.end())
    found->second.partial = net::PartialSpans(std::move(news.lacks));
}

std::shared_ptr<const chunker::SealedSpan> SwarmRoom::cut_for(swarm::MemberId member,
                                                              std::shared_ptr<const chunker::SealedSpan> span) const {
  const auto found = members_.find(member);
  return found == members_.end() ? span : found->second.partial.cut(std::move(span));
}

// The first one says that it listens. Of one that reports without end most are dropped.
void SwarmRoom::report(swarm::MemberId id, const wire::MulticastReport& report) {
  const auto found = members_.find(id);
  if (found == members_.end() || found->second.stream == nullptr) return;
  Member& member = found->second;
  const Instant now = system_clock().now();
  if (now < member.next_report) return;
  member.next_report = now + kReportSpacing;
  const auto& [caster, cuts] = *member.stream;
  if (!std::exchange(member.listens, true))
    caster->joined(id, member.have, cuts.too_little_for(member.partial, member.have));
  caster->report(id, report);
}

std::vector<net::CastStatus> SwarmRoom::streams() const {
  std::vector<net::CastStatus> out;
  for (const auto& [interface, stream] : streams_) {
    if (stream) out.push_back(stream->caster->status());
  }
  return out;
}

wire::Members SwarmRoom::list_for(swarm::MemberId member, std::uint32_t active, Instant now) const {
  wire::Members list;
  list.active = active;
  auto next = members_.upper_bound(member);
  for (std::size_t i = 0; i + 1 < members_.size() && list.members.size() < kListed; ++i) {
    if (next == members_.end()) next = members_.begin();
    const bool heard = now - next->second.connection->last_heard() < swarm::kActiveFor;
    if (heard && next->second.listed.port != 0) list.members.push_back(next->second.listed);
    ++next;
  }
  return list;
}

void SwarmRoom::tell_members(Instant now) {
  if (now < next_tell_) return;
  const std::uint32_t active = origin_.active(now);
  if (!changed_ && active == told_active_) return;
  changed_ = false;
  told_active_ = active;
  next_tell_ = now + members_.size() * kTellPerMember;
  for (auto& [id, member] : members_) member.connection->send(list_for(id, active, now));
}

}  // namespace stampede::service
