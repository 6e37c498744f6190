#include "transport/net/catcher.h"

#include <utility>

#include "transport/net/multicast_policy.h"

namespace stampede::net {

Result<std::unique_ptr<Catcher>> Catcher::open(Loop& loop, const wire::MulticastOffer& offer, unsigned interface,
                                               Bitmap have, Events events) {
  if (offer.symbol_size < multicast::kMinSymbolSize || offer.symbol_size > multicast::kMaxSymbolSize)
    return fail(Code::protocol, "the depot offers multicast with symbols of {} bytes", offer.symbol_size);
  std::unique_ptr<Catcher> catcher(new Catcher(loop, offer, std::move(have), std::move(events)));
  STAMPEDE_TRY(catcher->socket_, GroupReceiver::open(loop, {offer.group, offer.port}, interface,
                                                     [self = catcher.get()](MutableBytes d) { return self->take(d); }));
  catcher->events_.report({});  // we are here
  catcher->alarm_.set(catcher->receiver_.next_poll());
  return catcher;
}

Catcher::Catcher(Loop& loop, const wire::MulticastOffer& offer, Bitmap have, Events events)
    : events_(std::move(events)),
      shape_{have.size(), offer.symbol_size},
      opener_({offer.stream, offer.key, offer.salt}),
      receiver_({.shape = shape_}, std::move(have), system_random(), system_clock().now()),
      heard_(system_clock().now()),
      alarm_(loop, [this] { tick(); }) {}

bool Catcher::take(MutableBytes datagram) {
  const auto opened = opener_.open(datagram);
  if (!opened) return true;
  heard_ = system_clock().now();
  set_quiet(false);
  const auto packet = multicast::decode(opened->packet, shape_);  // a beacon is none
  if (!packet) return true;
  if (!began_) began_ = heard_;
  auto received = receiver_.packet(opened->sequence, *packet, heard_);
  if (received) {
    waiting_.insert(received->span);
    events_.span({received->span, std::move(received->frame.parts), std::move(received->frame.bytes)});
  }
  return waiting_.size() < kMaxWaiting;
}

void Catcher::settled(std::uint32_t span) {
  if (waiting_.erase(span) == 0) return;
  if (waiting_.size() <= kMaxWaiting / 2) socket_->resume();
}

void Catcher::had(std::uint32_t span) {
  receiver_.have(span);
  settled(span);
}

void Catcher::bad(std::uint32_t span) {
  receiver_.bad(span);
  settled(span);
}

void Catcher::news(const wire::MulticastNews& news) {
  receiver_.set_policy(policy_of(news), system_clock().now());
  receiver_.given_up(news.given_up);
  alarm_.set(receiver_.next_poll());
  if (auto stale = receiver_.take_stale(); !stale.empty()) events_.stale(std::move(stale));
  if (news.end == wire::StreamEnd::none) return;
  set_quiet(true);
  over_ = true;
}

// What waits in the socket's buffer counts as well: a machine that is short of processor time does not get to read it.
void Catcher::measure_backlog() {
  const double unread = socket_->fill() * static_cast<double>(kMaxWaiting);
  receiver_.set_backlog(static_cast<std::uint32_t>(waiting_.size()) + static_cast<std::uint32_t>(unread));
}

void Catcher::tick() {
  const Instant now = system_clock().now();
  measure_backlog();
  if (const auto report = receiver_.poll(now)) events_.report(*report);
  if (auto stale = receiver_.take_stale(); !stale.empty()) events_.stale(std::move(stale));
  if (now - heard_ >= kQuiet) set_quiet(true);
  alarm_.set(std::min(receiver_.next_poll(), now + kQuiet / 4));
}

void Catcher::set_quiet(bool quiet) {
  if (over_ || std::exchange(quiet_, quiet) == quiet) return;
  (quiet ? events_.quiet : events_.loud)();
}

}  // namespace stampede::net
