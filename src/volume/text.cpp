#include "src/volume/text.h"

#include <algorithm>
#include <optional>

namespace stampede::volume {

namespace {

constexpr std::size_t kMostKeys = 256, kMostValue = 4096;

bool is_key(std::string_view key) {
  return !key.empty() &&
         std::ranges::all_of(key, [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; });
}

// One value in shell quoting; nothing if a quote is left open.
std::optional<std::string> unquote(std::string_view text) {
  std::string out;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool escapes = c == '\\' && quote != '\'' && i + 1 < text.size();
    if (escapes && (quote == 0 || std::string_view("\"\\$`").find(text[i + 1]) != std::string_view::npos)) {
      out += text[++i];
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote && quote != 0) {
      quote = 0;
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '\r')) {
      break;
    } else {
      out += c;
    }
  }
  if (quote != 0) return std::nullopt;
  return out;
}

}  // namespace

std::map<std::string, std::string> parse_os_release(std::string_view text) {
  std::map<std::string, std::string> out;
  while (!text.empty() && out.size() < kMostKeys) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const std::size_t equals = line.find('=');
    if (equals == line.npos || !is_key(line.substr(0, equals))) continue;
    const auto value = unquote(line.substr(equals + 1));
    if (value && value->size() <= kMostValue) out[std::string(line.substr(0, equals))] = printable(*value);
  }
  return out;
}

}  // namespace stampede::volume
