// YAML in and out, over yaml-cpp, which stays in yaml.cpp. A document becomes a small tree that knows where each value stood
// and whether it was quoted, so that what was a string stays one for other readers ("52:54:00:12:34:00" is a number to
// some).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.h"
#include "src/base/units.h"

namespace stampede::firstboot {

inline constexpr Size kMostYaml = 1_MiB;

struct Yaml {
  enum class Kind { null, scalar, list, map } kind = Kind::null;
  std::string text;     // of a scalar
  bool quoted = false;  // a scalar that is surely a string
  int line = 0;         // from 1
  int column = 0;
  std::vector<Yaml> keys;    // of a map: scalars, all different
  std::vector<Yaml> values;  // of a map, beside its keys; or the items of a list

  const Yaml* find(std::string_view key) const;  // in a map
};

// One document of at most 1 MiB, 32 levels and 65,536 values, without aliases and tags. Error: usage, with line and column.
Result<Yaml> parse_yaml(std::string_view text);
// The same content in block style, with a newline at its end.
std::string emit_yaml(const Yaml& value);

// An error at a value.
std::unexpected<Error> fail_at(const Yaml& where, std::string_view message);

// A map's member, and values made from nothing, for writing.
Yaml yaml_string(std::string text);
Yaml yaml_list(const std::vector<std::string>& items);
Yaml& add(Yaml& map, std::string key, Yaml value);

}  // namespace stampede::firstboot
