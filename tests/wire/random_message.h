// A random message of a given type, within all limits.
#pragma once

#include <utility>

#include "src/base/seams.h"
#include "transport/wire/messages.h"

namespace stampede::wire {

// The longest time in a message, in microseconds.
inline constexpr std::uint64_t kLongest = 3'600'000'000;

class Maker {
 public:
  explicit Maker(Random& random) : random_(random) {}

  // `type` as on the wire, 1 ….
  Message message(std::size_t type) { return make(type - 1, std::make_index_sequence<std::variant_size_v<Message>>()); }

 private:
  template <std::unsigned_integral T>
  void set(T& value) {
    // Extremes come up more often than by chance.
    const auto kind = random_.below(8);
    value = static_cast<T>(kind == 0 ? 0 : kind == 1 ? ~T{} : random_.number());
  }
  template <std::size_t N>
  void set(std::array<std::byte, N>& value) {
    random_.fill(value);
  }
  std::size_t length(std::size_t limit) {
    const auto kind = random_.below(16);
    return kind == 0 ? limit : kind == 1 ? 0 : random_.below(std::min<std::size_t>(limit, 200) + 1);
  }
  void set(Bytes& value, std::size_t limit) {
    value.resize(length(limit));
    random_.fill(value);
  }
  void set(std::string& value, std::size_t limit) {
    value.resize(length(limit));
    for (char& c : value) c = static_cast<char>(' ' + random_.below(95));
  }
  std::uint32_t span() {
    return static_cast<std::uint32_t>(random_.below(8) == 0 ? kMaxSpans - 1 : random_.below(kMaxSpans));
  }

  void fill(Hello& m) {
    m.min_version = static_cast<std::uint16_t>(1 + random_.below(0xFFFF));
    m.max_version = static_cast<std::uint16_t>(m.min_version + random_.below(0x10000U - m.min_version));
    set(m.features), set(m.software, 64);
  }
  void fill(ErrorMessage& m) { set(m.code), set(m.text, 1024); }
  void fill(Enrol& m) { set(m.secret), set(m.request, 4096); }
  void fill(Enrolled& m) { set(m.certificate, 4096), set(m.authority, 4096); }
  void fill(Resolve& m) { set(m.name, 63), set(m.tag, 63); }
  void fill(TagRecordMessage& m) { set(m.record, 65536), set(m.signer), set(m.signature); }
  void fill(Fetch& m) {
    m.ids.resize(length(64));
    for (auto& id : m.ids) set(id);
  }
  void fill(Object& m) { set(m.id), set(m.codec), set(m.plain_size), set(m.sealed, std::size_t{16} << 20); }
  void fill(Join& m) {
    set(m.image), set(m.port);
    m.span_count = static_cast<std::uint32_t>(random_.below(64) == 0 ? kMaxSpans : random_.below(3000));
    m.have.resize((m.span_count + 7) / 8);
    random_.fill(m.have);
    if (m.span_count % 8 != 0) m.have.back() &= static_cast<std::byte>((1U << (m.span_count % 8)) - 1);
  }
  void fill(Members& m) {
    m.members.resize(length(kMaxMembers));
    for (auto& member : m.members) set(member.node), set(member.address, 45), set(member.port);
    set(m.active);
  }
  void fill(Have& m) {
    m.spans.resize(length(65536));
    for (auto& s : m.spans) s = span();
  }
  void fill(WantAny& m) { set(m.count); }
  void fill(NoneLeft& m) { set(m.count); }
  void fill(Request& m) { m.span = span(); }
  void fill(SpanData& m) {
    m.span = span();
    m.parts.resize(length(kMaxSpanParts));
    std::size_t sum = 0;
    for (auto& part : m.parts) {
      set(part.codec);
      part.sealed_size = static_cast<std::uint32_t>(random_.below(kMaxSpanBytes - sum + 1) / 4);
      sum += part.sealed_size;
    }
    m.bytes = Buffer(sum);
    random_.fill(m.bytes);
  }
  void fill(NotHeld& m) { m.span = span(); }
  void fill(Progress& m) {
    set(m.stage), set(m.total), set(m.verified), set(m.durable);
    m.finished = random_.below(2) == 1;
  }
  void fill(BadPeer& m) { set(m.node), m.span = span(); }
  void fill(Receipt& m) { set(m.receipt, 256 << 10), set(m.signature); }
  void fill(ReceiptStored& m) { set(m.number); }
  void fill(Ping& m) { set(m.token); }
  void fill(Pong& m) { set(m.token); }
  void fill(MulticastOffer& m) { set(m.group, 45), set(m.port), set(m.stream), set(m.key), set(m.salt), set(m.symbol_size); }
  void fill(MulticastReport& m) {
    set(m.sequence), set(m.loss), set(m.backlog);
    m.settled.resize(length(kMaxRuns));
    for (auto& run : m.settled) {
      run.first = span();
      run.count = static_cast<std::uint32_t>(random_.below(kMaxSpans - run.first + 1));
    }
    m.lacks.resize(length(kMaxLacks));
    for (auto& lack : m.lacks) lack.span = span(), set(lack.generation), set(lack.missing);
  }
  void fill(Partial& m) {
    m.lacks.resize(length(kMaxChunkRuns));
    std::uint32_t at = 0;
    for (auto& run : m.lacks) {
      run.span = at;
      run.first = static_cast<std::uint16_t>(random_.below(kMaxSpanParts));
      run.count = static_cast<std::uint16_t>(1 + random_.below(kMaxSpanParts - run.first));
      at += static_cast<std::uint32_t>(1 + random_.below(200));
    }
  }
  void fill(FindReceipt& m) { set(m.guid, 64), set(m.serial, 512), set(m.wwn, 512), set(m.path, 512), set(m.size); }
  void fill(MulticastNews& m) {
    set(m.eager), m.quick = random_.below(kLongest + 1), m.slow = random_.below(kLongest + 1);
    m.given_up.resize(length(kMaxGivenUp));
    for (auto& s : m.given_up) s = span();
    m.end = static_cast<StreamEnd>(random_.below(3));
  }
  void fill(RescueFile& m) { set(m.deployment), set(m.file, kMaxRescue); }
  void fill(RescueStored& m) { set(m.size); }
  void fill(PushStart& m) {
    set(m.name, 63), set(m.tag, 63), set(m.image);
    m.move = random_.below(2) == 1;
    m.sign = random_.below(2) == 1;
  }
  void fill(PushReady& m) { set(m.offers); }
  void fill(PushOffer& m) {
    m.ids.resize(length(kMaxOffer));
    for (auto& id : m.ids) set(id);
  }
  void fill(PushLacks& m) {
    m.count = static_cast<std::uint32_t>(length(kMaxOffer));
    m.lacks.resize((m.count + 7) / 8);
    random_.fill(m.lacks);
    if (m.count % 8 != 0) m.lacks.back() &= static_cast<std::byte>((1U << (m.count % 8)) - 1);
  }
  void fill(PushChunks& m) {
    m.parts.resize(length(kMaxPushParts));
    std::size_t sum = 0;
    for (auto& part : m.parts) {
      set(part.id);
      part.codec = static_cast<std::uint8_t>(random_.below(2));
      part.sealed_size = static_cast<std::uint32_t>(1 + random_.below((kMaxPushBytes - sum) / kMaxPushParts));
      part.plain_size =
          static_cast<std::uint32_t>(part.sealed_size + random_.below(kMaxPushPlain / kMaxPushParts - part.sealed_size));
      sum += part.sealed_size;
    }
    m.bytes = Buffer(sum);
    random_.fill(m.bytes);
  }
  void fill(PushKept& m) { set(m.chunks); }
  void fill(PushEnd& m) { set(m.record, 65536), set(m.signer), set(m.signature); }

  template <std::size_t... I>
  Message make(std::size_t index, std::index_sequence<I...>) {
    Message out;
    const auto one = [&]<class M>(M m) { fill(m), out = std::move(m); };
    ((I == index ? one(std::variant_alternative_t<I, Message>{}) : void()), ...);
    return out;
  }

  Random& random_;
};

}  // namespace stampede::wire
