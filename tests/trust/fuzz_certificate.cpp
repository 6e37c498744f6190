// Certificates and certificate requests from the network. Whatever the bytes, only the node that the site certified may come
// out of check_peer.

#include "src/trust/certificate_impl.h"
#include "tests/scratch.h"

namespace {

using namespace stampede;
using namespace stampede::trust;

struct Site {
  Scratch folder;
  Authority authority = Authority::load_or_create(folder.path()).value();
  PublicKey node = PrivateKey::generate().public_key();
  Certificate leaf = authority.issue(node, Role::node);
};

// A genuine certificate with bytes replaced: pairs of a u16 position and a u8 value. Random bytes alone never get as far as
// the chain check.
Certificate edited(Certificate certificate, ByteView edits) {
  for (ByteReader reader(edits); reader.left() >= 3;) {
    const std::size_t at = reader.u16();
    certificate[at % certificate.size()] = static_cast<std::byte>(reader.u8());
  }
  return certificate;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Site site;
  const ByteView input(reinterpret_cast<const std::byte*>(data), size);
  (void)public_key_of_request(input);
  for (const Certificate& der : {copy(input), edited(site.leaf, input)}) {
    const auto decoded = decode_certificate(der);
    if (!decoded) continue;
    const auto peer = check_peer(decoded->get(), {}, site.authority.public_key(), &site.authority.certificate());
    if (peer && (peer->key != site.node || peer->role != Role::node)) __builtin_trap();
    // As the CA that came along, too.
    x509_st* const chain = decoded->get();
    (void)check_peer(decode_certificate(site.leaf)->get(), {&chain, 1}, site.authority.public_key());
  }
  return 0;
}
