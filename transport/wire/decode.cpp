#include <algorithm>
#include <utility>

#include "transport/wire/fields.h"

namespace stampede::wire {

namespace {

// The archive that reads hostile bytes. It remembers the first thing wrong and reads zeros and empties from there on. It
// owns the payload, so that the field at the tail can take it over.
class Reader {
 public:
  explicit Reader(Buffer payload) : payload_(std::move(payload)), in_(payload_) {}

  void literal(std::string_view name, std::uint32_t value) { check(in_.u32() == value, name, "is another"); }
  template <std::unsigned_integral T>
  void number(std::string_view name, T& value) {
    value = in_.number<T>();
    check(in_.ok(), name, kShort);
  }
  void boolean(std::string_view name, bool& value) {
    const std::uint8_t byte = in_.u8();
    check(in_.ok() && byte <= 1, name, "is neither 0 nor 1");
    value = byte == 1;
  }
  template <class Choice>
  void choice(std::string_view name, Choice& value, Choice last) {
    const std::uint8_t byte = in_.u8();
    check(in_.ok() && byte <= static_cast<std::uint8_t>(last), name, "is none of those that there are");
    value = static_cast<Choice>(byte);
  }
  template <std::size_t N>
  void array(std::string_view name, std::array<std::byte, N>& value) {
    value = in_.array<N>();
    check(in_.ok(), name, kShort);
  }
  void bytes(std::string_view name, Bytes& value, std::size_t limit) { value = copy(sized(name, limit)); }
  void tail(std::string_view name, Buffer& value, std::size_t limit) {
    const ByteView bytes = sized(name, limit);
    check(in_.left() == 0, name, "has bytes after its end");
    if (problem_.empty()) value = std::move(payload_).last(bytes.size());
  }
  void text(std::string_view name, std::string& value, std::size_t limit) {
    value = as_text(sized(name, limit));
    check(std::ranges::none_of(value, is_control), name, "has control characters");
  }
  void remark(std::string_view name, std::string& value, std::size_t limit) { text(name, value, limit); }
  template <class T>
  void list(std::string_view name, std::vector<T>& items, std::size_t limit) {
    const std::size_t count = in_.u32();
    check(in_.ok(), name, kShort);
    check(count <= limit, name, "is longer than its limit");
    check(count <= in_.left() / Bounds::of<T>().least, name, kShort);
    if (!problem_.empty()) return;
    items.resize(count);
    for (T& item : items) fields(*this, item);
  }
  void require(bool holds, std::string_view otherwise) { check(holds, "", otherwise); }

  Result<> finish(std::string_view message) {
    check(in_.left() == 0, "", "has bytes after its end");
    if (problem_.empty()) return {};
    return fail(Code::protocol, "{}: {}{}{}", message, field_, field_.empty() ? "" : " ", problem_);
  }

 private:
  static constexpr std::string_view kShort = "ends early";

  ByteView sized(std::string_view name, std::size_t limit) {
    if (!problem_.empty()) return {};
    const ByteView bytes = in_.sized(limit);
    check(in_.ok(), name, "ends early or is longer than its limit");
    return bytes;
  }
  void check(bool holds, std::string_view field, std::string_view otherwise) {
    if (holds || !problem_.empty()) return;
    field_ = field;
    problem_ = otherwise;
  }

  Buffer payload_;
  ByteReader in_;
  std::string_view field_;
  std::string_view problem_;
};

template <class M>
Result<Message> decode_as(std::string_view name, Buffer payload) {
  Reader reader(std::move(payload));
  M message;
  fields(reader, message);
  STAMPEDE_CHECK(reader.finish(name));
  return Message(std::move(message));
}

template <std::size_t... I>
Result<Message> decode_type(std::uint8_t type, Buffer payload, std::index_sequence<I...>) {
  using Decoder = Result<Message> (*)(std::string_view, Buffer);
  static constexpr std::array<Decoder, sizeof...(I)> kDecoders{&decode_as<std::variant_alternative_t<I, Message>>...};
  return kDecoders[type - 1U](kNames[type - 1U], std::move(payload));
}

}  // namespace

Result<Message> decode(const FrameHeader& header, Buffer payload) {
  if (bounds_of(header.type) == nullptr)
    return fail(Code::protocol, "frame type {} is unknown to this version", header.type);
  if (header.payload != payload.size()) {
    return fail(Code::protocol, "{}: {} bytes of payload where the header says {}", kNames[header.type - 1U], payload.size(),
                header.payload);
  }
  return decode_type(header.type, std::move(payload), std::make_index_sequence<std::variant_size_v<Message>>());
}

}  // namespace stampede::wire
