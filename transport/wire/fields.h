// The layout of every message, written once: fields(archive, message) names each field with its limit, in the order of the
// wire. Encoding, decoding and the bounds of a payload's length are three archives over this one description, so what is
// encoded is what is decoded. Private to this room.
//
// An archive has number, boolean, array, bytes, tail (bytes that end the message), text, remark, list and require; a field's
// name is for error messages.
#pragma once

#include <algorithm>
#include <concepts>
#include <functional>
#include <type_traits>

#include "transport/wire/messages.h"

namespace stampede::wire {

inline constexpr std::uint32_t kMagic = 0x504D5453;  // "STMP"

inline constexpr std::array<std::string_view, std::variant_size_v<Message>> kNames{
    "Hello",         "ErrorMessage",  "Enrol",       "Enrolled",   "Resolve",        "TagRecordMessage",
    "Fetch",         "Object",        "Join",        "Members",    "Have",           "WantAny",
    "NoneLeft",      "Request",       "SpanData",    "NotHeld",    "Progress",       "BadPeer",
    "Receipt",       "ReceiptStored", "Ping",        "Pong",       "MulticastOffer", "MulticastReport",
    "MulticastNews", "Partial",       "FindReceipt", "RescueFile", "RescueStored",   "PushStart",
    "PushReady",     "PushOffer",     "PushLacks",   "PushChunks", "PushKept",       "PushEnd"};

// T is M or const M: encoding sees messages as const.
template <class T, class M>
concept Like = std::same_as<std::remove_const_t<T>, M>;

inline constexpr std::uint64_t kHour = 3'600'000'000;  // in microseconds

inline bool padding_is_zero(std::uint32_t bits, ByteView bytes) {
  return bits % 8 == 0 || bytes.empty() || std::to_integer<unsigned>(bytes.back()) >> (bits % 8) == 0;
}
std::uint64_t sum_of(const auto& parts) {
  std::uint64_t sum = 0;
  for (const auto& part : parts) sum += part.sealed_size;
  return sum;
}
inline std::uint64_t plain_sum_of(const std::vector<PushPart>& parts) {
  std::uint64_t sum = 0;
  for (const PushPart& part : parts) sum += part.plain_size;
  return sum;
}
inline bool comes_before(const ChunkRun& a, const ChunkRun& b) {
  return a.span < b.span || (a.span == b.span && a.first + a.count < b.first);
}

// Items of lists.
void fields(auto& a, Like<std::uint32_t> auto& span) {
  a.number("span", span);
  a.require(span < kMaxSpans, "span above the limit");
}
void fields(auto& a, Like<Digest> auto& id) { a.array("id", id); }
void fields(auto& a, Like<Member> auto& m) {
  a.array("node", m.node);
  a.text("address", m.address, 45);
  a.number("port", m.port);
}
void fields(auto& a, Like<SpanPart> auto& m) {
  a.number("codec", m.codec);
  a.number("sealed_size", m.sealed_size);
}
void fields(auto& a, Like<SpanRun> auto& m) {
  a.number("first", m.first);
  a.number("count", m.count);
  a.require(m.first < kMaxSpans && m.count <= kMaxSpans - m.first, "run of spans above the limit");
}
void fields(auto& a, Like<SymbolLack> auto& m) {
  fields(a, m.span);
  a.number("generation", m.generation);
  a.number("missing", m.missing);
}

void fields(auto& a, Like<ChunkRun> auto& m) {
  fields(a, m.span);
  a.number("first", m.first);
  a.number("count", m.count);
  a.require(m.count > 0 && m.first + std::size_t{m.count} <= kMaxSpanParts, "run of chunks that no span has");
}

void fields(auto& a, Like<PushPart> auto& m) {
  a.array("id", m.id);
  a.number("codec", m.codec);
  a.require(m.codec <= 1, "a codec that there is not");
  a.number("plain_size", m.plain_size);
  a.number("sealed_size", m.sealed_size);
  a.require(m.plain_size >= 1 && m.plain_size <= kMaxPushBytes && m.sealed_size >= 1 && m.sealed_size <= m.plain_size,
            "a chunk of sizes that none has");
}

void fields(auto& a, Like<Hello> auto& m) {
  a.literal("magic", kMagic);
  a.number("min_version", m.min_version);
  a.number("max_version", m.max_version);
  a.require(m.min_version >= 1 && m.min_version <= m.max_version, "no range of versions");
  a.number("features", m.features);
  a.remark("software", m.software, 64);
}
void fields(auto& a, Like<ErrorMessage> auto& m) {
  a.number("code", m.code);
  a.remark("text", m.text, 1024);
}
void fields(auto& a, Like<Enrol> auto& m) {
  a.array("secret", m.secret);
  a.bytes("request", m.request, 4096);
}
void fields(auto& a, Like<Enrolled> auto& m) {
  a.bytes("certificate", m.certificate, 4096);
  a.bytes("authority", m.authority, 4096);
}
void fields(auto& a, Like<Resolve> auto& m) {
  a.text("name", m.name, 63);
  a.text("tag", m.tag, 63);
}
void fields(auto& a, Like<TagRecordMessage> auto& m) {
  a.bytes("record", m.record, std::size_t{64} << 10);
  a.array("signer", m.signer);
  a.array("signature", m.signature);
}
void fields(auto& a, Like<Fetch> auto& m) { a.list("ids", m.ids, 64); }
void fields(auto& a, Like<Object> auto& m) {
  a.array("id", m.id);
  a.number("codec", m.codec);
  a.number("plain_size", m.plain_size);
  a.bytes("sealed", m.sealed, std::size_t{16} << 20);
}
void fields(auto& a, Like<Join> auto& m) {
  a.array("image", m.image);
  a.number("port", m.port);
  a.number("span_count", m.span_count);
  a.require(m.span_count <= kMaxSpans, "span_count above the limit");
  a.bytes("have", m.have, kMaxSpans / 8);
  a.require(m.have.size() == (m.span_count + std::size_t{7}) / 8, "have is not of span_count bits");
  a.require(padding_is_zero(m.span_count, m.have), "have has bits past span_count");
}
void fields(auto& a, Like<Members> auto& m) {
  a.list("members", m.members, kMaxMembers);
  a.number("active", m.active);
}
void fields(auto& a, Like<Have> auto& m) { a.list("spans", m.spans, 65536); }
void fields(auto& a, Like<WantAny> auto& m) { a.number("count", m.count); }
void fields(auto& a, Like<NoneLeft> auto& m) { a.number("count", m.count); }
void fields(auto& a, Like<Request> auto& m) { fields(a, m.span); }
void fields(auto& a, Like<SpanData> auto& m) {
  fields(a, m.span);
  a.list("parts", m.parts, kMaxSpanParts);
  a.tail("bytes", m.bytes, kMaxSpanBytes);
  a.require(sum_of(m.parts) == m.bytes.size(), "bytes are not the sum of the parts");
}
void fields(auto& a, Like<NotHeld> auto& m) { fields(a, m.span); }
void fields(auto& a, Like<Progress> auto& m) {
  a.number("stage", m.stage);
  a.boolean("finished", m.finished);
  a.number("total", m.total);
  a.number("verified", m.verified);
  a.number("durable", m.durable);
}
void fields(auto& a, Like<BadPeer> auto& m) {
  a.array("node", m.node);
  fields(a, m.span);
}
void fields(auto& a, Like<Receipt> auto& m) {
  a.bytes("receipt", m.receipt, std::size_t{256} << 10);
  a.array("signature", m.signature);
}
void fields(auto& a, Like<ReceiptStored> auto& m) { a.number("number", m.number); }
void fields(auto& a, Like<Ping> auto& m) { a.number("token", m.token); }
void fields(auto& a, Like<Pong> auto& m) { a.number("token", m.token); }
void fields(auto& a, Like<MulticastOffer> auto& m) {
  a.text("group", m.group, 45);
  a.number("port", m.port);
  a.number("stream", m.stream);
  a.array("key", m.key);
  a.array("salt", m.salt);
  a.number("symbol_size", m.symbol_size);
}
void fields(auto& a, Like<MulticastReport> auto& m) {
  a.number("sequence", m.sequence);
  a.number("loss", m.loss);
  a.number("backlog", m.backlog);
  a.list("settled", m.settled, kMaxRuns);
  a.list("lacks", m.lacks, kMaxLacks);
}
void fields(auto& a, Like<MulticastNews> auto& m) {
  a.number("eager", m.eager);
  a.number("quick", m.quick);
  a.number("slow", m.slow);
  a.require(m.quick <= kHour && m.slow <= kHour, "reports further apart than an hour");
  a.list("given_up", m.given_up, kMaxGivenUp);
  a.choice("end", m.end, StreamEnd::too_slow);
}
void fields(auto& a, Like<Partial> auto& m) {
  a.list("lacks", m.lacks, kMaxChunkRuns);
  a.require(std::ranges::adjacent_find(m.lacks, std::not_fn(comes_before)) == m.lacks.end(), "runs of chunks out of order");
}
void fields(auto& a, Like<FindReceipt> auto& m) {
  a.text("guid", m.guid, 64);
  a.text("serial", m.serial, 512);
  a.text("wwn", m.wwn, 512);
  a.text("path", m.path, 512);
  a.number("size", m.size);
}

void fields(auto& a, Like<RescueFile> auto& m) {
  a.array("deployment", m.deployment);
  a.bytes("file", m.file, kMaxRescue);
}
void fields(auto& a, Like<RescueStored> auto& m) { a.number("size", m.size); }
void fields(auto& a, Like<PushStart> auto& m) {
  a.text("name", m.name, 63);
  a.text("tag", m.tag, 63);
  a.array("image", m.image);
  a.boolean("move", m.move);
  a.boolean("sign", m.sign);
}
void fields(auto& a, Like<PushReady> auto& m) { a.number("offers", m.offers); }
void fields(auto& a, Like<PushOffer> auto& m) { a.list("ids", m.ids, kMaxOffer); }
void fields(auto& a, Like<PushLacks> auto& m) {
  a.number("count", m.count);
  a.require(m.count <= kMaxOffer, "count above the limit");
  a.bytes("lacks", m.lacks, kMaxOffer / 8);
  a.require(m.lacks.size() == (std::size_t{m.count} + 7) / 8 && padding_is_zero(m.count, m.lacks),
            "bitmap is not of its count");
}
void fields(auto& a, Like<PushChunks> auto& m) {
  a.list("parts", m.parts, kMaxPushParts);
  a.require(plain_sum_of(m.parts) <= kMaxPushPlain, "plain bytes above the limit");
  a.tail("bytes", m.bytes, kMaxPushBytes);
  a.require(sum_of(m.parts) == m.bytes.size(), "bytes are not the sum of the parts");
}
void fields(auto& a, Like<PushKept> auto& m) { a.number("chunks", m.chunks); }
void fields(auto& a, Like<PushEnd> auto& m) {
  a.bytes("record", m.record, std::size_t{64} << 10);
  a.array("signer", m.signer);
  a.array("signature", m.signature);
}

// The archive that measures: the least and the greatest length that a message's encoding can have.
class Bounds {
 public:
  std::size_t least = 0;
  std::size_t greatest = 0;

  void literal(std::string_view, std::uint32_t) { add(4, 4); }
  template <std::unsigned_integral T>
  void number(std::string_view, const T&) {
    add(sizeof(T), sizeof(T));
  }
  void boolean(std::string_view, bool) { add(1, 1); }
  template <class Choice>
  void choice(std::string_view, Choice, Choice) {
    add(1, 1);
  }
  template <std::size_t N>
  void array(std::string_view, const std::array<std::byte, N>&) {
    add(N, N);
  }
  void bytes(std::string_view, const Bytes&, std::size_t limit) { add(4, 4 + limit); }
  void tail(std::string_view, const Buffer&, std::size_t limit) { add(4, 4 + limit); }
  void text(std::string_view, const std::string&, std::size_t limit) { add(4, 4 + limit); }
  void remark(std::string_view, const std::string&, std::size_t limit) { add(4, 4 + limit); }
  template <class T>
  void list(std::string_view, const std::vector<T>&, std::size_t limit) {
    add(4, 4 + limit * of<T>().greatest);
  }
  void require(bool, std::string_view) {}

  template <class T>
  static Bounds of() {
    Bounds bounds;
    const T example{};
    fields(bounds, example);
    return bounds;
  }

 private:
  void add(std::size_t low, std::size_t high) {
    least += low;
    greatest += high;
  }
};

// Of a payload of this type (1 …), or nothing for an unknown type.
const Bounds* bounds_of(std::uint8_t type);

// Bytes that would break out of a log line: C0 controls and DEL.
inline bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

}  // namespace stampede::wire
