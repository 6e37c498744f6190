#include "src/volume/lvm_text.h"

#include <charconv>

namespace stampede::volume {

namespace {

constexpr std::size_t kDeepest = 8;
constexpr std::string_view kBlank = " \t\r\n";

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<LvmSection> section(std::size_t depth) {
    LvmSection out;
    while (true) {
      skip_blank();
      if (rest_.empty() ? depth == 0 : rest_.front() == '}') break;
      const std::string name(word());
      if (name.empty() || depth > kDeepest) return not_understood();
      skip_blank();
      if (take('{')) {
        STAMPEDE_TRY(auto inner, section(depth + 1));
        if (!take('}') || !out.sections.emplace(name, std::move(inner)).second) return not_understood();
      } else if (take('=')) {
        STAMPEDE_TRY(auto list, values());
        if (!out.values.emplace(name, std::move(list)).second) return not_understood();
      } else {
        return not_understood();
      }
    }
    return out;
  }
  bool at_end() const { return rest_.empty(); }
  std::unexpected<Error> not_understood() const {
    return fail(Code::cannot_customise, "its metadata is not understood, {} characters before its end", rest_.size());
  }

 private:
  void skip_blank() {
    while (true) {
      rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlank), rest_.size()));
      if (!rest_.starts_with('#')) return;
      rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
    }
  }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view word() {
    const std::size_t end = std::min(rest_.find_first_of(" \t\r\n{}=[],\"#"), rest_.size());
    const std::string_view out = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return out;
  }

  Result<std::vector<LvmSection::Value>> values() {
    std::vector<LvmSection::Value> out;
    skip_blank();
    const bool list = take('[');
    while (true) {
      skip_blank();
      if (list && take(']')) return out;
      STAMPEDE_TRY(out.emplace_back(), value());
      skip_blank();
      if (!list) return out;
      if (!take(',') && !rest_.starts_with(']')) return not_understood();
    }
  }
  Result<LvmSection::Value> value() {
    if (take('"')) {
      // A command line, as written in "description", may have quotes.
      std::string out;
      for (; !rest_.empty() && rest_.front() != '"'; rest_.remove_prefix(1)) {
        if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
        out += rest_.front();
      }
      if (!take('"')) return not_understood();
      return LvmSection::Value(std::move(out));
    }
    const std::string_view digits = word();
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return not_understood();
    return LvmSection::Value(number);
  }

  std::string_view rest_;
};

template <class T>
Result<T> one_of(const LvmSection& section, std::string_view name) {
  const auto found = section.values.find(name);
  if (found == section.values.end() || found->second.size() != 1 || !std::holds_alternative<T>(found->second[0]))
    return fail(Code::cannot_customise, "its metadata has no {}", name);
  return std::get<T>(found->second[0]);
}

}  // namespace

Result<std::uint64_t> LvmSection::number(std::string_view name) const { return one_of<std::uint64_t>(*this, name); }
Result<std::string> LvmSection::text(std::string_view name) const { return one_of<std::string>(*this, name); }

Result<const LvmSection*> LvmSection::section(std::string_view name) const {
  const auto found = sections.find(name);
  if (found == sections.end()) return fail(Code::cannot_customise, "its metadata has no {}", name);
  return &found->second;
}

Result<LvmSection> parse_lvm_text(std::string_view text) {
  Parser parser(text);
  STAMPEDE_TRY(auto out, parser.section(0));
  if (!parser.at_end()) return parser.not_understood();
  return out;
}

}  // namespace stampede::volume
