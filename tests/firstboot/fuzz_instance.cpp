#include <cstdlib>

#include "src/firstboot/instance.h"

using namespace stampede;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto got = firstboot::parse_instance(text); got && got->network) {
    // What was accepted is accepted again, and is settled.
    const auto again = firstboot::parse_network(*got->network);
    if (!again || *again != *got->network) std::abort();
  }
  if (const auto got = firstboot::parse_network(text); got) {
    const auto again = firstboot::parse_network(*got);
    if (!again || *again != *got) std::abort();
  }
  std::ignore = firstboot::parse_ssh_keys(text);
  std::ignore = firstboot::check_hostname(text);
  return 0;
}
