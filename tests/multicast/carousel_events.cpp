#include <map>
#include <set>

#include "tests/multicast/events.h"
#include "tests/multicast/stream.h"
#include "transport/multicast/carousel.h"

namespace stampede::multicast {
namespace {

constexpr Shape kShape{24, kMinSymbolSize};
constexpr std::uint32_t kMembers = 5;

class Events {
 public:
  explicit Events(ByteView input) : in_(input), carousel_(kShape) {}

  std::string run() {
    while (problem_.empty() && in_.ok() && in_.left() > 0) step();
    for (std::uint32_t i = 0; i < kMembers; ++i) carousel_.report(i, {0, 0, 0, {{0, kShape.span_count}}, {}}, now_);
    if (problem_.empty() && !carousel_.idle()) problem_ = "not idle though nobody lacks anything";
    return problem_;
  }

 private:
  void step() {
    const unsigned what = in_.u8();
    now_ += std::chrono::milliseconds(in_.u8() % 64);
    const std::uint32_t member = in_.u8() % kMembers;
    const std::uint32_t span = in_.u8() % (kShape.span_count + 1);
    if (what < 10)
      join(member);
    else if (what < 14)
      carousel_.left(member), lacking_.erase(member);
    else if (what < 30)
      carousel_.has(member, span, now_), settle(member, span, 1);
    else if (what < 90)
      report(member);
    else if (what < 94)
      fail_one();
    else if (what < 150)
      provide();
    else
      poll();
  }

  void join(std::uint32_t member) {
    Bitmap have(kShape.span_count);
    const std::uint32_t bits = in_.u32();
    auto& lacking = lacking_[member];
    lacking.clear();
    for (std::uint32_t i = 0; i < kShape.span_count; ++i) {
      if ((bits >> i & 1) != 0)
        have.set(i);
      else
        lacking.insert(i);
    }
    carousel_.joined(member, std::move(have), now_);
  }

  void settle(std::uint32_t member, std::uint32_t first, std::uint32_t count) {
    const auto found = lacking_.find(member);
    if (found == lacking_.end()) return;
    for (std::uint32_t i = 0; i < count; ++i) found->second.erase(first + i);
  }

  void report(std::uint32_t member) {
    Report report;
    report.sequence = in_.u8() < 128 ? sequence_ : in_.u32();
    report.loss = in_.u16();
    if (in_.u8() < 100) {
      report.settled.push_back({in_.u8() % 24U, in_.u8() % 3U});
      settle(member, report.settled[0].first, report.settled[0].count);
    }
    for (unsigned n = in_.u8() % 6; n > 0; --n) report.lacks.push_back({in_.u8() % 26U, in_.u8(), in_.u8()});
    for (const std::uint32_t span : carousel_.report(member, report, now_).given_up) settle(member, span, 1);
  }

  void provide() {
    if (fetching_.empty()) return;
    const std::uint32_t span = *fetching_.begin();
    fetching_.erase(span);
    carousel_.provide(span, std::make_shared<const Bytes>(sample_frame(span, 1 + span * 3000)));
  }

  void fail_one() {
    if (fetching_.empty()) return;
    const std::uint32_t span = *fetching_.begin();
    fetching_.erase(span);
    carousel_.unavailable(span);
  }

  void poll() {
    const std::size_t room = in_.u8() % 70;
    const Turn turn = carousel_.poll(now_, room);
    if (turn.symbols.size() > room) problem_ = "more symbols than there was room for";
    for (const std::uint32_t span : turn.fetch) {
      if (!fetching_.insert(span).second) problem_ = "a frame was asked for twice";
    }
    for (const Symbol& symbol : turn.symbols) check(symbol);
  }

  void check(const Symbol& symbol) {
    if (symbol.sequence != ++sequence_) problem_ = "a number is missing";
    Bytes packet(kPacketHeader + kShape.symbol_size);
    encode(symbol.header, packet);
    if (!decode(packet, kShape)) problem_ = "a packet that receivers refuse";
    if (symbol.bytes.empty() || symbol.bytes.size() > kShape.symbol_size) problem_ = "a symbol of a wrong size";
  }

  ByteReader in_;
  Instant now_{std::chrono::hours(1)};
  std::uint64_t sequence_ = 0;
  Carousel carousel_;
  std::map<std::uint32_t, std::set<std::uint32_t>> lacking_;
  std::set<std::uint32_t> fetching_;
  std::string problem_;
};

}  // namespace

std::string run_carousel(ByteView input) { return Events(input).run(); }

}  // namespace stampede::multicast
