#include "tests/powerloss/expectations.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace stampede::powerloss {

Result<> Expectations::take(const Epoch& epoch, Offset marks, const File& log) {
  for (const Write& write : epoch) {
    if (write.at != marks || write.zeros) continue;
    std::array<std::byte, 512> sector{};
    STAMPEDE_CHECK(log.read_at(write.data, sector));
    const std::string_view text = as_text(sector);
    std::istringstream words{std::string(text.substr(0, text.find('\n')))};
    std::string magic, what, name, value;
    words >> magic >> what >> name >> value;
    if (magic != "STMPMARK" || value.empty() || (what != "allow" && what != "settled"))
      return fail(Code::usage, "what stands at byte {} of the log is no mark", write.data.bytes);
    auto& allowed = allowed_[name];
    if (allowed.empty()) allowed.emplace(kNone);
    if (what == "settled") allowed.clear();
    allowed.insert(value);
    ++marks_;
  }
  return {};
}

std::size_t Expectations::settled() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(allowed_, [](const auto& one) { return !one.second.contains(std::string(kNone)); }));
}

}  // namespace stampede::powerloss
