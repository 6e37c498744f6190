#include "chunker/image_name.h"

#include <algorithm>

#include "src/base/text.h"

namespace stampede::chunker {
namespace {

constexpr std::size_t kMaxPart = 63;
constexpr std::size_t kWireDigits = kMaxPart - 1;

bool are_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) { return text.size() >= kLeastDigits && text.size() <= kAllDigits && are_digits(text); }

// What somebody wrote, as it can be shown: it may be of any length and hold anything.
std::string shown(std::string_view text) {
  return text.size() <= 80 ? printable(text) : fmt::format("{}… ({} bytes)", printable(text.substr(0, 60)), text.size());
}

std::unexpected<Error> no_name(std::string_view text) {
  return fail(Code::usage,
              "'{}' is not an image name: write name or name:tag, each of a-z 0-9 . _ - (first a letter or digit) and at "
              "most {} long",
              shown(text), kMaxPart);
}

std::unexpected<Error> no_id(std::string_view text) {
  return fail(Code::usage, "'{}' does not name an image by its id: write name@ and {} to {} of 0-9 a-f", shown(text),
              kLeastDigits, kAllDigits);
}

}  // namespace

bool is_name_part(std::string_view text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kMaxPart && plain(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
}

Result<ImageName> ImageName::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  ImageName name{std::string(text.substr(0, colon)), colon == text.npos ? "latest" : std::string(text.substr(colon + 1))};
  if (!name.valid()) return no_name(text);
  return name;
}

bool ImageName::valid() const { return is_name_part(name) && is_name_part(tag); }

Result<ImageRef> ImageRef::parse(std::string_view text) {
  ImageRef ref;
  if (text.size() == kAllDigits && are_digits(text)) {
    ref.id = text;
    return ref;
  }
  const std::size_t at = text.find('@');
  if (at == text.npos) return ImageName::parse(text);
  ref.name = text.substr(0, at);
  ref.id = text.substr(at + 1);
  if (!is_name_part(ref.name) || !is_id(ref.id)) return no_id(text);
  return ref;
}

std::string ImageRef::text() const {
  if (!exact()) return ImageName{name, tag}.text();
  return name.empty() ? id : name + "@" + id;
}

bool ImageRef::names(const ImageName& image, const ImageId& its_id) const {
  if (!exact()) return image == ImageName{name, tag};
  return (name.empty() || image.name == name) && to_string(its_id).starts_with(id);
}

std::pair<ImageId, ImageId> ImageRef::ids() const {
  const auto filled = [&](char digit) {
    ImageId out;
    std::string digits = id;
    digits.resize(kAllDigits, digit);
    if (const auto bytes = from_hex(digits); bytes && bytes->size() == out.digest.size())
      std::ranges::copy(*bytes, out.digest.begin());
    return out;
  };
  return {filled('0'), filled('f')};
}

std::string ImageRef::asked_tag() const { return exact() ? "@" + id.substr(0, kWireDigits) : tag; }

Result<ImageRef> ImageRef::from_wire(std::string_view name, std::string_view tag) {
  if (!tag.starts_with('@')) {
    ImageName plain{std::string(name), std::string(tag)};
    if (!plain.valid()) return no_name(plain.text());
    return plain;
  }
  ImageRef ref;
  ref.name = name;
  ref.id = tag.substr(1);
  if ((!name.empty() && !is_name_part(name)) || !is_id(ref.id)) return no_id(fmt::format("{}{}", name, tag));
  return ref;
}

}  // namespace stampede::chunker
