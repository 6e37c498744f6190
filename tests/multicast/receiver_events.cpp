#include <set>

#include "tests/multicast/events.h"
#include "transport/multicast/receiver.h"

namespace stampede::multicast {
namespace {

constexpr Shape kShape{16, kMinSymbolSize};
constexpr std::size_t kMemory = std::size_t{200} << 10;

class Events {
 public:
  explicit Events(ByteView input) : in_(input), receiver_({kShape, kMemory}, Bitmap(kShape.span_count), random_, now_) {}

  std::string run() {
    while (problem_.empty() && in_.ok() && in_.left() > 0) step();
    return problem_;
  }

 private:
  void step() {
    const unsigned what = in_.u8();
    now_ += std::chrono::milliseconds(in_.u8());
    const std::uint32_t span = in_.u8() % 20;
    if (what < 220)
      packet(span);
    else if (what < 230)
      receiver_.have(span), held_.insert(span);
    else if (what < 235)
      receiver_.bad(span);
    else if (what < 240)
      receiver_.given_up(std::span(&span, 1));
    else
      report();
    take_stale();
    const std::size_t one = Layout(kMaxFrame, kMinSymbolSize).symbols() * kMinSymbolSize * 2;
    if (receiver_.figures().memory > std::max(kMemory, one)) problem_ = "more memory than allowed";
  }

  void take_stale() {
    for (const std::uint32_t stale : receiver_.take_stale()) {
      if (held_.contains(stale)) problem_ = "a span that is held is stale";
      if (!stale_.insert(stale).second) problem_ = "stale twice";
    }
  }

  // Of a few frame sizes, so that spans are completed too: often of one symbol.
  void packet(std::uint32_t span) {
    Bytes bytes(kPacketHeader + kMinSymbolSize);
    Header h;
    h.span = span;
    const unsigned kind = in_.u8();
    h.frame_size = kind < 128 ? 2 + kind * 16U : kind * 4000U;
    const Layout layout(h.frame_size, kMinSymbolSize);
    h.generations = static_cast<std::uint8_t>(layout.generations());
    h.generation = static_cast<std::uint8_t>(in_.u8() % layout.generations());
    h.k = static_cast<std::uint8_t>(layout.k(h.generation));
    h.index = in_.u8();
    encode(h, bytes);
    const auto packet = decode(bytes, kShape);
    if (!packet) return;
    sequence_ += in_.u8() % 4;
    const auto got = receiver_.packet(sequence_, *packet, now_);
    if (!got) return;
    if (held_.contains(got->span) || stale_.contains(got->span)) problem_ = "a span that was not wanted came out";
    if (!out_.insert(got->span).second) problem_ = "a span came out twice";
  }

  void report() {
    const auto report = receiver_.poll(now_);
    if (!report) return;
    take_stale();
    for (const SpanRun& run : report->settled) {
      for (std::uint32_t i = run.first; i < run.first + run.count; ++i) {
        if (!settled_.insert(i).second) problem_ = "settled twice";
        if (!held_.contains(i) && !stale_.contains(i) && !out_.contains(i)) problem_ = "settled without a reason";
      }
    }
    for (const Lack& lack : report->lacks) {
      if (settled_.contains(lack.span) || lack.missing == 0 || lack.missing > kMaxData) problem_ = "a lack that is none";
    }
  }

  ByteReader in_;
  SeededRandom random_{1};
  Instant now_{std::chrono::hours(1)};
  std::uint64_t sequence_ = 1;
  Receiver receiver_;
  std::set<std::uint32_t> held_, stale_, out_, settled_;
  std::string problem_;
};

}  // namespace

std::string run_receiver(ByteView input) { return Events(input).run(); }

}  // namespace stampede::multicast
