// What a store on a logged disk must hold, as told by marks in the log: sectors of 512 bytes that whoever worked on the
// store wrote behind its file system.
//
//   "STMPMARK allow NAME:TAG VALUE\n"     from now on it may be that: said before something is done
//   "STMPMARK settled NAME:TAG VALUE\n"   it is that and nothing else: said when it was acknowledged
//
// VALUE is an image's file name, or "none". What is not named is none.
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/powerloss/write_log.h"

namespace stampede::powerloss {

inline constexpr std::string_view kNone = "none";

class Expectations {
 public:
  // Takes in the marks of an epoch: they count for all of its states, since what was acknowledged in it was durable before
  // it began. Error: usage, for a sector at `marks` that is no mark.
  Result<> take(const Epoch& epoch, Offset marks, const File& log);
  // By name:tag.
  const std::map<std::string, std::set<std::string>>& allowed() const { return allowed_; }
  // How many names must be something, and how many marks there were.
  std::size_t settled() const;
  std::size_t marks() const { return marks_; }

 private:
  std::map<std::string, std::set<std::string>> allowed_;
  std::size_t marks_ = 0;
};

}  // namespace stampede::powerloss
