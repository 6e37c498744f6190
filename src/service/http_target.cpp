#include "src/service/http_target.h"

#include <algorithm>
#include <vector>

namespace stampede::service {
namespace {

constexpr AskRefused kBad{400, "malformed path"};
constexpr AskRefused kNothing{404, "no such path"};

std::optional<std::string> decoded(std::string_view part) {
  std::string out;
  for (std::size_t i = 0; i < part.size(); ++i) {
    if (part[i] != '%') {
      out += part[i];
      continue;
    }
    const auto digit = [&](std::size_t at) {
      return at < part.size() ? std::string_view("0123456789abcdef0123456789ABCDEF").find(part[at]) : std::string_view::npos;
    };
    const std::size_t high = digit(i + 1), low = digit(i + 2);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    out += static_cast<char>(high % 16 << 4 | low % 16);
    i += 2;
  }
  const bool printable = std::ranges::all_of(out, [](char c) { return c > ' ' && c < 0x7f; });
  return printable ? std::optional(out) : std::nullopt;
}

// Between slashes; what is encoded is decoded after they are parted.
std::optional<std::vector<std::string>> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    auto text = decoded(part);
    if (!text) return std::nullopt;
    parts.push_back(*std::move(text));
  }
  return parts;
}

std::optional<chunker::Sha256> digest_of(std::string_view hex) {
  const auto bytes = from_hex(hex);
  if (!bytes || bytes->size() != sizeof(chunker::Sha256)) return std::nullopt;
  chunker::Sha256 digest;
  std::ranges::copy(*bytes, digest.begin());
  return digest;
}

HttpAsk index(std::string_view name, bool fixed) {
  constexpr std::string_view kEnding = ".caibx";
  if (!name.ends_with(kEnding)) return kNothing;
  name.remove_suffix(kEnding.size());
  const auto image = chunker::ImageRef::parse(name);
  return image ? HttpAsk(AskIndex{*image, fixed}) : HttpAsk(AskRefused{400, "not an image's name"});
}

HttpAsk chunk(std::string_view folder, std::string_view file) {
  constexpr std::string_view kEnding = ".cacnk";
  if (!file.ends_with(kEnding)) return AskRefused{400, "a chunk's name is 64 hex digits and .cacnk"};
  file.remove_suffix(kEnding.size());
  const auto id = digest_of(file);
  if (!id || folder != file.substr(0, 4)) return AskRefused{400, "a chunk's name is 64 hex digits and .cacnk"};
  return AskChunk{{*id}};
}

}  // namespace

HttpAsk parse_target(std::string_view target) {
  if (target.size() > kMaxTarget) return kBad;
  for (const std::string_view scheme : {"http://", "https://"})
    if (target.starts_with(scheme)) target.remove_prefix(std::min(target.size(), target.find('/', scheme.size())));
  if (!target.starts_with('/')) return kBad;
  auto parts = parts_of(target);
  if (!parts) return kBad;
  auto& all = *parts;
  const bool fixed = all.size() > 2 && all[0] == "casync" && all[1] == "fixed";
  if (fixed) all.erase(all.begin() + 1);
  if (all.size() == 2 && all[0] == "casync") return index(all[1], fixed);
  if (all.size() == 4 && all[0] == "casync" && (all[1] == "store" || all[1] == "default.castr"))
    return chunk(all[2], all[3]);
  if (all.size() == 2 && all[0] == "manifest") {
    const auto image = digest_of(all[1]);
    return image ? HttpAsk(AskManifest{{*image}}) : HttpAsk(AskRefused{400, "an image's id is 64 hex digits"});
  }
  return kNothing;
}

}  // namespace stampede::service
