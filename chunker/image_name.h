// How images are named. A name:tag is what somebody calls an image now, and may be another image later; an id is that image.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "chunker/types.h"
#include "src/base/error.h"

namespace stampede::chunker {

// Whether it is [a-z0-9][a-z0-9._-]{0,62}: each part of a name, and a role.
bool is_name_part(std::string_view text);

// "name:tag"; each part is [a-z0-9][a-z0-9._-]{0,62}; the tag may be left out of the text and is "latest" then.
struct ImageName {
  std::string name;
  std::string tag;
  auto operator<=>(const ImageName&) const = default;
  static Result<ImageName> parse(std::string_view text);
  // Whether both parts are as parse() demands: for names that did not come from there.
  bool valid() const;
  std::string text() const { return name + ":" + tag; }
};

inline constexpr std::size_t kLeastDigits = 8;
inline constexpr std::size_t kAllDigits = 64;

// An image as people and targets ask for it: "name" or "name:tag", what that is now; "name@id", the image that has had a tag
// of that name and whose id begins with these digits (8 to 64 of 0-9 a-f; one image's alone); or all 64 digits of an id.
struct ImageRef {
  std::string name;  // empty: whatever it is called
  std::string tag;   // empty where an id is given
  std::string id;    // hex digits; empty where a tag is given

  ImageRef() = default;
  ImageRef(std::string name_, std::string tag_) : name(std::move(name_)), tag(std::move(tag_)) {}
  ImageRef(const ImageName& image) : name(image.name), tag(image.tag) {}  // NOLINT(google-explicit-constructor)
  auto operator<=>(const ImageRef&) const = default;

  // Error: usage.
  static Result<ImageRef> parse(std::string_view text);
  bool exact() const { return !id.empty(); }
  std::string text() const;
  // Is that what it asks for? (Of a tag, the name alone tells.)
  bool names(const ImageName& image, const ImageId& its_id) const;
  // The ids that it may mean, where it is exact: from first to last.
  std::pair<ImageId, ImageId> ids() const;

  // The two texts of wire::Resolve: name and tag, or name and '@' with the id's first 62 digits at most, as many as there is
  // room for; who asks compares all of them with the answer. from_wire() refuses (usage) what asked_tag() does not make.
  std::string asked_tag() const;
  static Result<ImageRef> from_wire(std::string_view name, std::string_view tag);
};

}  // namespace stampede::chunker
