#include "src/deploy/receipt.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto receipt = stampede::deploy::decode_receipt(std::as_bytes(std::span(data, size)));
  if (receipt) (void)stampede::deploy::encode(*receipt);
  return 0;
}
