#include "src/trust/token.h"

namespace stampede::trust {

namespace {

constexpr std::string_view kPrefix = "stmp1.";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMaxBytes = 1 + 32 + 32 + 1 + kMaxSigners * 32;
constexpr std::size_t kMaxText = kPrefix.size() + (kMaxBytes * 4 + 2) / 3;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

Result<JoinToken> decode(ByteView bytes) {
  ByteReader reader(bytes);
  if (const unsigned version = reader.u8(); version != kVersion)
    return fail(Code::token_invalid, "a join token of version {}, not {}: use the stampede of the depot that made it",
                version, kVersion);
  JoinToken token{.site = reader.array<32>(), .secret = reader.array<32>(), .signers = {}};
  const std::size_t count = reader.u8();
  if (count > kMaxSigners)
    return fail(Code::token_invalid, "a join token with {} image signers: more than {}", count, kMaxSigners);
  for (std::size_t i = 0; i < count; ++i) token.signers.push_back(reader.array<32>());
  if (!reader.ok_and_empty())
    return fail(Code::token_invalid, "a join token of the wrong length: copy the whole line that the depot printed");
  return token;
}

}  // namespace

JoinToken make_token(const PublicKey& site, std::vector<PublicKey> signers, Random& random) {
  JoinToken token{.site = site, .secret = {}, .signers = std::move(signers)};
  random.fill(token.secret);
  return token;
}

std::string encode(const JoinToken& token) {
  ByteWriter writer(kMaxBytes);
  writer.u8(kVersion).raw(token.site).raw(token.secret).u8(static_cast<std::uint8_t>(token.signers.size()));
  for (const PublicKey& signer : token.signers) writer.raw(signer);
  return std::string(kPrefix) + to_base64url(writer.take());
}

Result<JoinToken> parse_token(std::string_view text) {
  const std::string_view line = trimmed(text);
  if (!line.starts_with(kPrefix)) return fail(Code::token_invalid, "not a join token: one starts with {}", kPrefix);
  if (line.size() > kMaxText) return fail(Code::token_invalid, "not a join token: longer than {} characters", kMaxText);
  const std::optional<Bytes> bytes = from_base64url(line.substr(kPrefix.size()));
  if (!bytes) return fail(Code::token_invalid, "a damaged join token: copy the whole line that the depot printed");
  return decode(*bytes);
}

}  // namespace stampede::trust
