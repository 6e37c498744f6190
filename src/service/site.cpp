#include "src/service/site.h"

#include <algorithm>
#include <sstream>

#include "chunker/digest.h"
#include "src/base/file.h"
#include "src/trust/token.h"

namespace stampede::service {

namespace {

std::filesystem::path keys_of(const std::filesystem::path& store) { return store / "keys"; }
std::filesystem::path signers_file(const std::filesystem::path& store) { return keys_of(store) / "signers"; }

}  // namespace

Result<bool> accept_signer(const std::filesystem::path& store, const trust::PublicKey& key) {
  STAMPEDE_CHECK(make_folders(keys_of(store)));
  STAMPEDE_TRY(auto signers, accepted_signers(store));
  if (std::ranges::find(signers, key) != signers.end()) return false;
  signers.push_back(key);
  std::string text;
  for (const auto& signer : signers) text += trust::to_string(signer) + "\n";
  STAMPEDE_CHECK(replace_file(signers_file(store), as_bytes(text)));
  return true;
}

Result<Site> open_site(const std::filesystem::path& store) {
  STAMPEDE_CHECK(make_folders(keys_of(store)));
  STAMPEDE_TRY(auto authority, trust::Authority::load_or_create(keys_of(store)));
  STAMPEDE_TRY(auto key, trust::PrivateKey::load_or_create(keys_of(store) / "depot.key"));
  net::Identity depot{key, authority.issue(key.public_key(), trust::Role::depot), authority.certificate()};
  return Site{std::move(authority), std::move(depot)};
}

Result<trust::PrivateKey> open_signing_key(const std::filesystem::path& store) {
  STAMPEDE_CHECK(make_folders(keys_of(store)));
  const auto path = keys_of(store) / "signing.key";
  if (std::error_code ignored; !std::filesystem::exists(path, ignored)) {
    // Accepted first: after a crash between the two there is a signer without a key, which nobody can use, and not a key
    // that nobody accepts, which a check would take for damage.
    const auto fresh = trust::PrivateKey::generate();
    STAMPEDE_CHECK(accept_signer(store, fresh.public_key()));
    // Somebody else may have made one meanwhile: theirs counts then.
    if (const auto saved = fresh.save(path); !saved && !std::filesystem::exists(path, ignored)) return pass(saved.error());
  }
  STAMPEDE_TRY(auto key, trust::PrivateKey::load(path));
  STAMPEDE_CHECK(accept_signer(store, key.public_key()));
  return key;
}

Result<trust::PrivateKey> find_signing_key(const std::filesystem::path& store) {
  const auto path = keys_of(store) / "signing.key";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return fail(Code::not_found, "there is no {}", path.string());
  return trust::PrivateKey::load(path);
}

Result<std::vector<trust::PublicKey>> accepted_signers(const std::filesystem::path& store) {
  const auto path = signers_file(store);
  std::vector<trust::PublicKey> signers;
  if (!std::filesystem::exists(path)) return signers;
  STAMPEDE_TRY(const Bytes bytes, read_file(path, 64_KiB));
  std::istringstream lines{std::string(as_text(bytes))};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const auto key = trust::parse_public_key(line);
    if (!key) return fail(Code::usage, "{}: '{}' is not a public key (64 hex digits)", path.string(), line);
    signers.push_back(*key);
  }
  return signers;
}

std::vector<std::string> check_keys(const std::filesystem::path& store) {
  std::vector<std::string> problems;
  const auto has = [&](std::string_view name) {
    std::error_code ignored;
    return std::filesystem::exists(keys_of(store) / name, ignored);
  };
  const auto expect = [&](const auto& result) {
    if (!result) problems.push_back(result.error().message);
    return result.has_value();
  };
  // A key alone is what a crash leaves, and gets its certificate at the next start.
  if (has("ca.key") && has("ca.crt"))
    expect(trust::Authority::load_or_create(keys_of(store)));
  else if (has("ca.crt"))
    problems.push_back(fmt::format("{} has a ca.crt whose ca.key is missing", keys_of(store).string()));
  if (has("depot.key")) expect(trust::PrivateKey::load(keys_of(store) / "depot.key"));
  const auto signers = accepted_signers(store);
  expect(signers);
  if (!has("signing.key")) return problems;
  const auto key = trust::PrivateKey::load(keys_of(store) / "signing.key");
  if (expect(key) && signers && std::ranges::find(*signers, key->public_key()) == signers->end())
    problems.push_back(fmt::format("{} is none of the accepted signers' in {}: one of the two is damaged",
                                   (keys_of(store) / "signing.key").string(), signers_file(store).string()));
  return problems;
}

Result<std::string> create_token(cache::Store& store, Clock& clock, Random& random, std::chrono::seconds ttl, unsigned uses,
                                 cache::TokenGrant grant) {
  STAMPEDE_TRY(auto signers, accepted_signers(store.folder()));
  // A depot that is to take in machines' disks signs them: as at its first import.
  if (signers.empty() && grant.push) {
    STAMPEDE_TRY(const auto key, open_signing_key(store.folder()));
    signers.push_back(key.public_key());
  }
  if (signers.empty())
    return fail(
        Code::not_found,
        "{} accepts no image signer yet, so a machine with this token could accept no image: import an image first, or "
        "put the signer's public key in {}",
        store.folder().string(), signers_file(store.folder()).string());
  if (signers.size() > trust::kMaxSigners)
    return fail(Code::usage, "{} names {} signers, and a join token holds {} at most; take out those that are not needed",
                signers_file(store.folder()).string(), signers.size(), trust::kMaxSigners);
  STAMPEDE_TRY(const Site site, open_site(store.folder()));
  const trust::JoinToken token = trust::make_token(site.authority.public_key(), std::move(signers), random);
  STAMPEDE_CHECK(store.catalog().add_token(chunker::sha256(token.secret), clock.unix_time() + ttl.count(), uses, grant));
  STAMPEDE_CHECK(store.catalog().audit("operator", "token create",
                                       fmt::format("{} uses, {} s{}", uses, ttl.count(), grant.push ? ", push" : "")));
  return trust::encode(token);
}

}  // namespace stampede::service
