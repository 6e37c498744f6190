#include "transport/net/caster.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "transport/net/catcher.h"
#include "transport/net/multicast_policy.h"
#include "transport/net/span_message.h"

namespace stampede::net {

namespace {

// What a packet takes of an Ethernet line besides: its header, check sum, preamble and gap.
constexpr std::size_t kEthernet = 14 + 4 + 8 + 12;
constexpr Duration kSocketFull = std::chrono::milliseconds(1);
constexpr Duration kLookForComing = std::chrono::milliseconds(5);
// Then the loop gets a turn: a machine that cannot send as fast as it may must still hear what members report.
constexpr int kBatchesATurn = 4;

PacketKey new_key() {
  PacketKey key;
  key.stream = static_cast<std::uint32_t>(system_random().number());
  system_random().fill(key.key);
  system_random().fill(key.salt);
  return key;
}

std::size_t symbol_size_for(const CastRoute& route) {
  const std::size_t mtu = route.interface == 0 ? route.mtu : std::min(route.mtu, mtu_of(route.interface));
  const std::size_t around = header_size(route.group) + kSealOverhead + multicast::kPacketHeader;
  // Of sixteens: what computes parity takes that many bytes at a time.
  return std::clamp((mtu - std::min(mtu, around)) / 16 * 16, multicast::kMinSymbolSize, multicast::kMaxSymbolSize);
}

multicast::RateConfig rate_config(const CastRoute& route) {
  multicast::RateConfig config;
  config.cap = route.rate;
  config.floor = std::min(config.floor, route.rate);
  if (route.fixed_rate) config.fixed = route.rate;
  config.backlog = kMaxWaiting / 2;  // before a target stops reading
  return config;
}

}  // namespace

Result<std::unique_ptr<Caster>> Caster::open(Loop& loop, const CastRoute& route, std::uint32_t span_count, Read read,
                                             Tell tell, Coming coming) {
  STAMPEDE_TRY(auto sender, GroupSender::open(route.group, route.interface, route.ttl));
  if (const std::size_t most = mtu_of(route.interface); route.interface != 0 && route.mtu > most)
    spdlog::warn("packets of {} bytes are asked for, but {} takes {}: ip link set {} mtu {}", route.mtu,
                 name_of_interface(route.interface), most, name_of_interface(route.interface), route.mtu);
  const multicast::Shape shape{span_count, symbol_size_for(route)};
  return std::unique_ptr<Caster>(
      new Caster(loop, route, shape, std::move(read), std::move(tell), std::move(coming), std::move(sender)));
}

Caster::Caster(Loop& loop, const CastRoute& route, const multicast::Shape& shape, Read read, Tell tell, Coming coming,
               std::unique_ptr<GroupSender> sender)
    : route_(route),
      shape_(shape),
      packet_size_(kSealOverhead + multicast::kPacketHeader + shape.symbol_size),
      wire_size_(packet_size_ + header_size(route.group) + kEthernet),
      key_(new_key()),
      read_(std::move(read)),
      tell_(std::move(tell)),
      coming_(std::move(coming)),
      sender_(std::move(sender)),
      sealer_(key_),
      carousel_(shape),
      rate_(rate_config(route)),
      pacer_(wire_size_),
      told_policy_(carousel_.policy()),
      bytes_per_second_(route.rate),
      pending_(multicast::Pacer::kBatchPackets * packet_size_),
      alarm_(loop, [this] { pump(); }) {}

wire::MulticastOffer Caster::offer() const {
  return {route_.group.host, route_.group.port, key_.stream,
          key_.key,          key_.salt,         static_cast<std::uint16_t>(shape_.symbol_size)};
}

CastStatus Caster::status() const {
  using Phase = CastStatus::Phase;
  const auto figures = carousel_.figures();
  const Phase phase = figures.members == 0 || resting_ ? Phase::idle : first_ ? Phase::waiting : Phase::sending;
  return {route_.group, route_.interface,  phase,         figures.members, route_.min_members, sent_rate_,
          rate_.loss(), shape_.span_count, figures.lacked};
}

void Caster::joined(MemberId member, Bitmap have, std::vector<std::uint32_t> elsewhere) {
  const Instant now = system_clock().now();
  if (carousel_.figures().members == 0) first_ = now;
  carousel_.joined(member, std::move(have), now, std::move(elsewhere));
  rate_.joined(member);
  members_[member] = false;
  tell(member, {});
  resting_ = false;
  alarm_.set(now);
}

void Caster::left(MemberId member) {
  if (members_.erase(member) == 0) return;
  carousel_.left(member);
  rate_.left(member);
  wake();
}

void Caster::has(MemberId member, std::uint32_t span) {
  if (!is_served(member)) return;
  carousel_.has(member, span, system_clock().now());
  wake();
}

void Caster::report(MemberId member, const wire::MulticastReport& report) {
  if (!is_served(member)) return;
  const Instant now = system_clock().now();
  rate_.report(member, report.loss / 65536.0, report.backlog, now);
  auto answer = carousel_.report(member, report, now);
  if (!answer.given_up.empty()) tell(member, std::move(answer.given_up));
  wake();
}

void Caster::wake() {
  if (std::exchange(resting_, false)) alarm_.set(system_clock().now());
}

// Only before the first of them is served; who comes later joins a stream that runs.
std::optional<Instant> Caster::waits_for_members(Instant now) {
  if (!first_) return std::nullopt;
  const std::uint32_t members = carousel_.figures().members;
  const Instant enough = *first_ + route_.wait;
  const Instant gathered = *first_ + (route_.min_members > 1 ? std::min(kGather, route_.wait) : kGather);
  if (members < route_.min_members && now < enough) return enough;
  if (members > 0 && now < gathered && coming_()) return std::min(gathered, now + kLookForComing);
  first_.reset();
  if (members == 0) return std::nullopt;
  spdlog::info("multicast stream {:08x} to {} on {} starts for {} member{}", key_.stream, route_.group.text(),
               name_of_interface(route_.interface), members, members == 1 ? "" : "s");
  return std::nullopt;
}

void Caster::rest_until(Instant when, Instant now) {
  if (now - sent_ >= kBeacon) {
    Bytes beacon(kSealOverhead);
    sealer_.seal(0, beacon);
    if (sender_->send(beacon, beacon.size())) sent_ = now;
  }
  alarm_.set(std::min(when, now + kBeacon));
}

void Caster::pump() {
  Instant now = system_clock().now();
  follow_rate(now);
  if (const auto until = waits_for_members(now)) return rest_until(*until, now);
  if (!send_pending()) return alarm_.set(now + kSocketFull);
  for (int batch = 0; const std::size_t room = pacer_.room(now, bytes_per_second_); ++batch) {
    if (batch == kBatchesATurn) return alarm_.set(now);
    const multicast::Turn turn = carousel_.poll(now, room);
    seal(turn.symbols);
    fetch(turn.fetch);
    if (turn.symbols.empty()) {
      starved_ = turn.next.has_value();
      if (turn.next) return rest_until(*turn.next, now);
      resting_ = true;
      return tell_all_over();
    }
    pacer_.sent(turn.symbols.size());
    sent_packets_ += turn.symbols.size();
    sent_ = now;
    if (!send_pending()) return alarm_.set(now + kSocketFull);
    now = system_clock().now();
  }
  alarm_.set(pacer_.next());
}

// Copied at once: a symbol's bytes are the carousel's until its next call.
void Caster::seal(std::span<const multicast::Symbol> symbols) {
  for (const auto& symbol : symbols) {
    const MutableBytes datagram = MutableBytes(pending_).subspan(filled_, packet_size_);
    const MutableBytes packet = datagram.subspan(kSealHeader, multicast::kPacketHeader + shape_.symbol_size);
    multicast::encode(symbol.header, packet);
    const MutableBytes body = packet.subspan(multicast::kPacketHeader);
    std::ranges::copy(symbol.bytes, body.begin());
    std::ranges::fill(body.subspan(symbol.bytes.size()), std::byte{});
    sealer_.seal(symbol.sequence, datagram);
    filled_ += packet_size_;
  }
}

bool Caster::send_pending() {
  if (filled_ > 0 && !sender_->send(ByteView(pending_).first(filled_), packet_size_)) return false;
  filled_ = 0;
  return true;
}

void Caster::fetch(std::span<const std::uint32_t> spans) {
  for (const std::uint32_t span : spans)
    read_(span, [self = std::weak_ptr(self_), span](std::shared_ptr<const Bytes> frame) {
      if (const auto caster = self.lock()) (*caster)->provide(span, std::move(frame));
    });
}

void Caster::provide(std::uint32_t span, std::shared_ptr<const Bytes> frame) {
  if (frame)
    carousel_.provide(span, std::move(frame));
  else
    carousel_.unavailable(span);
  if (std::exchange(starved_, false)) alarm_.set(system_clock().now());
}

void Caster::follow_rate(Instant now) {
  const Duration passed = now - followed_;
  if (passed < multicast::Rate::kReaction) return;
  followed_ = now;
  sent_rate_ = static_cast<double>((sent_packets_ - std::exchange(followed_packets_, sent_packets_)) * wire_size_) /
               std::chrono::duration<double>(passed).count();
  bytes_per_second_ = rate_.at(now);
  carousel_.set_rate(bytes_per_second_ * static_cast<double>(shape_.symbol_size) / static_cast<double>(wire_size_));
  for (const MemberId member : rate_.take_leavers()) {
    spdlog::warn("a member of multicast stream {:08x} is far behind the others and finishes from the swarm", key_.stream);
    dismiss(member, wire::StreamEnd::too_slow);
  }
  if (carousel_.policy() == told_policy_) return;
  told_policy_ = carousel_.policy();
  for (const auto& [member, over] : members_) {
    if (!over) tell(member, {});
  }
}

// Whoever still lacks something gets it elsewhere, or joins again. One that comes to life later does not start the stream
// anew.
void Caster::tell_all_over() {
  const auto figures = carousel_.figures();
  if (figures.members == 0) return;
  for (const auto& [member, over] : members_) {
    if (!over) dismiss(member, wire::StreamEnd::over);
  }
  spdlog::info("multicast stream {:08x} is over for {} members: {} packets of data, {} of parity, {} of repair; {} passes",
               key_.stream, figures.members, figures.data, figures.parity, figures.repair, figures.passes);
}

void Caster::dismiss(MemberId member, wire::StreamEnd end) {
  members_[member] = true;
  carousel_.left(member);
  rate_.left(member);
  tell(member, {}, end);
}

bool Caster::is_served(MemberId member) const {
  const auto found = members_.find(member);
  return found != members_.end() && !found->second;
}

void Caster::tell(MemberId member, std::vector<std::uint32_t> given_up, wire::StreamEnd end) {
  wire::MulticastNews news;
  set_policy(news, carousel_.policy());
  news.given_up = std::move(given_up);
  news.end = end;
  tell_(member, news);
}

std::shared_ptr<const Bytes> frame_of(const chunker::SealedSpan& span) {
  return std::make_shared<const Bytes>(multicast::encode_frame(parts_of(span), span.bytes));
}

}  // namespace stampede::net
