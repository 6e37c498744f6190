#include "src/firstboot/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "src/base/bytes.h"

namespace stampede::firstboot {

namespace {

constexpr std::size_t kMostDepth = 32, kMostValues = 65'536;

// Leaves yaml-cpp's parser, whose only way out is an exception; caught in parse_yaml().
struct Stop {
  Yaml where;
  std::string message;
};

Yaml at(const YAML::Mark& mark, Yaml::Kind kind) {
  Yaml out;
  out.kind = kind;
  out.line = mark.line + 1;
  out.column = mark.column + 1;
  return out;
}

class Builder final : public YAML::EventHandler {
 public:
  Yaml take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { put(at(mark, Yaml::Kind::null)); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Stop{at(mark, {}), "aliases are not understood here; write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& text) override {
    Yaml value = at(mark, Yaml::Kind::scalar);
    refuse_tag(value, tag);
    value.text = text;
    value.quoted = tag == "!";
    put(std::move(value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(at(mark, Yaml::Kind::list), tag);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(at(mark, Yaml::Kind::map), tag);
  }
  void OnMapEnd() override {
    refuse_twins(open_.back());
    close();
  }

 private:
  static void refuse_tag(const Yaml& where, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") throw Stop{where, "tags are not understood here"};
  }
  static void refuse_twins(const Yaml& map) {
    std::set<std::string_view> seen;
    for (const Yaml& key : map.keys)
      if (!seen.insert(key.text).second) throw Stop{key, fmt::format("'{}' stands here twice", key.text)};
  }
  void open(Yaml value, const std::string& tag) {
    refuse_tag(value, tag);
    if (open_.size() >= kMostDepth) throw Stop{value, fmt::format("nested deeper than {} levels", kMostDepth)};
    if (!open_.empty() && wants_key(open_.back())) throw Stop{value, "a map's key must be a word"};
    open_.push_back(std::move(value));
  }
  void close() {
    Yaml value = std::move(open_.back());
    open_.pop_back();
    put(std::move(value));
  }
  static bool wants_key(const Yaml& value) {
    return value.kind == Yaml::Kind::map && value.keys.size() == value.values.size();
  }
  void put(Yaml value) {
    if (++count_ > kMostValues) throw Stop{value, fmt::format("more than {} values", kMostValues)};
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Yaml& parent = open_.back();
    if (!wants_key(parent)) {
      parent.values.push_back(std::move(value));
      return;
    }
    if (value.kind != Yaml::Kind::scalar) throw Stop{value, "a map's key must be a word"};
    parent.keys.push_back(std::move(value));
  }

  Yaml root_;
  std::vector<Yaml> open_;  // the lists and maps that enclose what comes next
  std::size_t count_ = 0;
};

void emit(YAML::Emitter& out, const Yaml& value) {
  switch (value.kind) {
    case Yaml::Kind::null:
      out << YAML::Null;
      return;
    case Yaml::Kind::scalar:
      if (value.quoted) out << YAML::DoubleQuoted;
      out << value.text;
      return;
    case Yaml::Kind::list:
      out << YAML::BeginSeq;
      for (const Yaml& item : value.values) emit(out, item);
      out << YAML::EndSeq;
      return;
    case Yaml::Kind::map:
      out << YAML::BeginMap;
      for (std::size_t i = 0; i < value.keys.size(); ++i) {
        out << YAML::Key;
        emit(out, value.keys[i]);
        out << YAML::Value;
        emit(out, value.values[i]);
      }
      out << YAML::EndMap;
      return;
  }
}

std::string one_line(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return out;
}

}  // namespace

const Yaml* Yaml::find(std::string_view key) const {
  const auto found = std::ranges::find(keys, key, &Yaml::text);
  return found == keys.end() ? nullptr : &values[static_cast<std::size_t>(found - keys.begin())];
}

std::unexpected<Error> fail_at(const Yaml& where, std::string_view message) {
  return fail(Code::usage, "line {}, column {}: {}", where.line, where.column, one_line(message));
}

Result<Yaml> parse_yaml(std::string_view text) {
  if (text.size() > kMostYaml.bytes) return fail(Code::usage, "YAML larger than {}", human_size(kMostYaml.bytes));
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    Builder builder;
    if (!parser.HandleNextDocument(builder)) return Yaml{};
    Yaml out = builder.take();
    Builder rest;
    if (parser.HandleNextDocument(rest)) return fail_at(rest.take(), "a second YAML document; there may be only one");
    return out;
  } catch (const Stop& stop) {
    return fail_at(stop.where, stop.message);
  } catch (const YAML::Exception& problem) {
    return fail_at(at(problem.mark, {}), problem.msg);
  } catch (const std::exception& problem) {
    return fail(Code::usage, "not YAML: {}", one_line(problem.what()));
  }
}

std::string emit_yaml(const Yaml& value) {
  YAML::Emitter out;
  emit(out, value);
  return std::string(out.c_str()) + "\n";
}

Yaml yaml_string(std::string text) {
  Yaml out;
  out.kind = Yaml::Kind::scalar;
  out.text = std::move(text);
  out.quoted = true;
  return out;
}

Yaml yaml_list(const std::vector<std::string>& items) {
  Yaml out;
  out.kind = Yaml::Kind::list;
  for (const std::string& item : items) out.values.push_back(yaml_string(item));
  return out;
}

Yaml& add(Yaml& map, std::string key, Yaml value) {
  map.kind = Yaml::Kind::map;
  map.keys.push_back(yaml_string(std::move(key)));
  map.keys.back().quoted = false;
  map.values.push_back(std::move(value));
  return map;
}

}  // namespace stampede::firstboot
