// The exit codes are a contract: README.md's table says exactly what the code does.
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <sstream>

#include "src/base/error.h"
#include "src/base/file.h"

namespace stampede {
namespace {

std::map<unsigned, std::string> table_in_readme() {
  const auto bytes = read_file(STAMPEDE_SOURCE "/README.md", 1_MiB);
  std::map<unsigned, std::string> table;
  std::istringstream lines{std::string(as_text(bytes.value()))};
  const std::regex row(R"(\| (\d+) \| ([a-z_]+) \|.*)");
  std::smatch match;
  for (std::string line; std::getline(lines, line);)
    if (std::regex_match(line, match, row)) table[static_cast<unsigned>(std::stoul(match[1]))] = match[2];
  return table;
}

TEST(ExitCodes, TheReadmeSaysWhatTheCodeDoes) {
  const auto table = table_in_readme();
  for (unsigned value = 1; value < 256; ++value) {
    const auto name = name_of(static_cast<Code>(value));
    const bool defined = value == 1 || name != "internal";
    const auto row = table.find(value);
    EXPECT_EQ(defined, row != table.end()) << value << " " << name;
    if (row != table.end()) {
      EXPECT_EQ(row->second, name) << value;
    }
  }
}

TEST(ExitCodes, ClassesAreByTens) {
  EXPECT_EQ(class_of(Code::usage), "usage");
  EXPECT_EQ(class_of(Code::store_too_new), "refused");
  EXPECT_EQ(class_of(Code::peer_untrusted), "trust");
  EXPECT_EQ(class_of(Code::interrupted), "retryable");
  EXPECT_EQ(class_of(Code::flush_failed), "disk");
  EXPECT_EQ(class_of(Code::store_damaged), "store");
}

}  // namespace
}  // namespace stampede
