#include <algorithm>
#include <stdexcept>

#include "transport/wire/fields.h"

namespace stampede::wire {

namespace {

// The archive that writes. A message outside its limits is a programmer error, since the other side would refuse it.
class Writer {
 public:
  explicit Writer(std::uint8_t type, std::size_t reserve) : out_(kHeaderSize + reserve) {
    out_.u32(0).u8(type).raw(std::array<std::byte, 3>{});
  }

  void literal(std::string_view, std::uint32_t value) { out_.u32(value); }
  template <std::unsigned_integral T>
  void number(std::string_view, T value) {
    out_.number(value);
  }
  void boolean(std::string_view, bool value) { out_.u8(value ? 1 : 0); }
  template <class Choice>
  void choice(std::string_view, Choice value, Choice) {
    out_.u8(static_cast<std::uint8_t>(value));
  }
  template <std::size_t N>
  void array(std::string_view, const std::array<std::byte, N>& value) {
    out_.raw(value);
  }
  void tail(std::string_view name, const Buffer& value, std::size_t limit) { bytes(name, value, limit); }
  void bytes(std::string_view name, ByteView value, std::size_t limit) {
    within(name, value.size(), limit);
    out_.sized(value);
  }
  void text(std::string_view name, const std::string& value, std::size_t limit) {
    within(name, value.size(), limit);
    if (std::ranges::any_of(value, is_control)) refuse(name, "has control characters");
    out_.text(value);
  }
  // Words for people come from anywhere (a library's error text): cut and cleaned, never refused.
  void remark(std::string_view, std::string value, std::size_t limit) {
    if (value.size() > limit) {
      std::size_t end = limit;
      while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xC0U) == 0x80) --end;  // not inside a UTF-8 character
      value.resize(end);
    }
    std::ranges::replace_if(value, is_control, ' ');
    out_.text(value);
  }
  template <class T>
  void list(std::string_view name, const std::vector<T>& items, std::size_t limit) {
    within(name, items.size(), limit);
    out_.u32(static_cast<std::uint32_t>(items.size()));
    for (const T& item : items) fields(*this, item);
  }
  void require(bool holds, std::string_view otherwise) const {
    if (!holds) refuse("message", otherwise);
  }
  static void within(std::string_view name, std::size_t size, std::size_t limit) {
    if (size > limit) refuse(name, fmt::format("has {} items, above the limit of {}", size, limit));
  }

  // `following`: bytes of the payload that the caller sends after these.
  Bytes take(std::size_t following = 0) {
    store_le(out_.bytes(), static_cast<std::uint32_t>(out_.size() - kHeaderSize + following));
    return out_.take();
  }

 private:
  [[noreturn]] static void refuse(std::string_view name, std::string_view what) {
    throw std::invalid_argument(fmt::format("wire::encode: {}: {}", name, what));
  }
  ByteWriter out_;
};

constexpr std::size_t size_hint(const auto&) { return 256; }
std::size_t size_hint(const Object& m) { return m.sealed.size() + 64; }
std::size_t size_hint(const Join& m) { return m.have.size() + 64; }
std::size_t size_hint(const SpanData& m) { return m.bytes.size() + m.parts.size() * 5 + 64; }
std::size_t size_hint(const PushChunks& m) { return m.bytes.size() + m.parts.size() * 41 + 64; }
std::size_t size_hint(const PushOffer& m) { return m.ids.size() * 32 + 8; }
std::size_t size_hint(const Have& m) { return m.spans.size() * 4 + 8; }

}  // namespace

Bytes encode(const Message& message) {
  return std::visit(
      [&](const auto& m) {
        Writer writer(static_cast<std::uint8_t>(message.index() + 1), size_hint(m));
        fields(writer, m);
        return writer.take();
      },
      message);
}

Bytes encode_span_header(std::uint32_t span, std::span<const SpanPart> parts, std::size_t sealed_bytes) {
  constexpr auto kType = static_cast<std::uint8_t>(Message(SpanData{}).index() + 1);
  Writer writer(kType, parts.size() * 5 + 12);
  fields(writer, span);
  Writer::within("parts", parts.size(), kMaxSpanParts);
  Writer::within("bytes", sealed_bytes, kMaxSpanBytes);
  writer.require(sum_of(parts) == sealed_bytes, "bytes are not the sum of the parts");
  writer.number("parts", static_cast<std::uint32_t>(parts.size()));
  for (const SpanPart& part : parts) fields(writer, part);
  writer.number("bytes", static_cast<std::uint32_t>(sealed_bytes));
  return writer.take(sealed_bytes);
}

}  // namespace stampede::wire
