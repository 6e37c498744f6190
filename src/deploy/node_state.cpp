#include "src/deploy/node_state.h"

#include <algorithm>
#include <boost/json.hpp>

#include "src/base/file.h"

namespace stampede::deploy {

namespace json = boost::json;

namespace {

Bytes encode(const Enrolment& enrolment) {
  json::array signers;
  for (const auto& signer : enrolment.signers) signers.emplace_back(trust::to_string(signer));
  const json::object object{{"version", 1},
                            {"site", trust::to_string(enrolment.site)},
                            {"certificate", to_base64url(enrolment.identity.certificate)},
                            {"authority", to_base64url(enrolment.identity.authority)},
                            {"signers", std::move(signers)}};
  return copy(as_bytes(json::serialize(object) + "\n"));
}

std::optional<Enrolment> parse(const json::object& object, const trust::PrivateKey& key) {
  const auto site = trust::parse_public_key(object.at("site").as_string());
  const auto certificate = from_base64url(object.at("certificate").as_string());
  const auto authority = from_base64url(object.at("authority").as_string());
  if (!site || !certificate || !authority) return std::nullopt;
  Enrolment enrolment{{key, *certificate, *authority}, *site, {}};
  for (const auto& value : object.at("signers").as_array()) {
    const auto signer = trust::parse_public_key(value.as_string());
    if (!signer) return std::nullopt;
    enrolment.signers.push_back(*signer);
  }
  return enrolment;
}

Result<std::optional<Enrolment>> load(const std::filesystem::path& path, const trust::PrivateKey& key) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  STAMPEDE_TRY(const Bytes bytes, read_file(path, 64_KiB));
  json::error_code error;
  const json::value value = json::parse(json::string_view(as_text(bytes)), error);
  const auto damaged = [&] {
    return fail(Code::usage, "{} is damaged; remove it and enrol again with a token", path.string());
  };
  if (error) return damaged();
  try {
    if (auto enrolment = parse(value.as_object(), key)) return enrolment;
    return damaged();
  } catch (const std::exception&) {  // a member that is missing or of the wrong type
    return damaged();
  }
}

}  // namespace

Result<NodeState> NodeState::open(const std::filesystem::path& folder) {
  STAMPEDE_CHECK(make_folders(folder));
  STAMPEDE_TRY(auto key, trust::PrivateKey::load_or_create(folder / "node.key"));
  NodeState state(folder, std::move(key));
  // An older version kept one receipt, in this file.
  if (std::error_code error; std::filesystem::is_regular_file(folder / "unsent", error)) {
    STAMPEDE_CHECK(make_folders(state.receipts_folder()));
    std::filesystem::rename(folder / "unsent", state.receipts_folder() / "00000000", error);
  }
  return state;
}

Result<Enrolment> NodeState::enrol(const std::optional<trust::JoinToken>& token, const net::Endpoint& depot,
                                   const net::Waiting& waiting) {
  STAMPEDE_TRY(auto known, load(folder_ / "enrolment", key_));
  if (!token) {
    if (known) return std::move(*known);
    return fail(Code::token_invalid,
                "this machine is not enrolled (no enrolment in {}); give a join token with --token-file", folder_.string());
  }
  if (!known || known->site != token->site) return enrol_again(*token, depot, waiting);
  // The same site: the certificate stands, the token may name more signers.
  const std::size_t before = known->signers.size();
  for (const auto& signer : token->signers)
    if (std::ranges::find(known->signers, signer) == known->signers.end()) known->signers.push_back(signer);
  if (known->signers.size() != before) STAMPEDE_CHECK(replace_file(folder_ / "enrolment", encode(*known)));
  return std::move(*known);
}

Result<Enrolment> NodeState::enrol_again(const trust::JoinToken& token, const net::Endpoint& depot,
                                         const net::Waiting& waiting) {
  STAMPEDE_TRY(auto identity, net::enrol(depot, token.site, token.secret, key_, waiting));
  Enrolment enrolment{std::move(identity), token.site, token.signers};
  STAMPEDE_CHECK(replace_file(folder_ / "enrolment", encode(enrolment)));
  return enrolment;
}

void NodeState::deliver_unsent(net::Node& node) {
  for (const Unsent& waiting : unsent()) {
    const auto stored = node.store_receipt(waiting.receipt, waiting.signature);
    const bool may_yet = !stored && class_of(stored.error().code) == "retryable" && stored.error().code != Code::protocol;
    if (may_yet) return;
    std::error_code ignored;
    std::filesystem::remove(waiting.file, ignored);
  }
}

Result<> NodeState::keep_unsent(ByteView receipt, const trust::Signature& signature) {
  STAMPEDE_CHECK(make_folders(receipts_folder()));
  const auto before = unsent();
  std::error_code ignored;
  for (std::size_t i = 0; i + kMostUnsent <= before.size(); ++i) std::filesystem::remove(before[i].file, ignored);
  const unsigned long last = before.empty() ? 0 : std::stoul(before.back().file.filename());
  ByteWriter writer;
  writer.raw(signature).raw(receipt);
  return replace_file(receipts_folder() / fmt::format("{:08}", last + 1), writer.take());
}

std::vector<NodeState::Unsent> NodeState::unsent() const {
  std::vector<Unsent> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(receipts_folder(), error)) {
    const std::string name = entry.path().filename();
    if (name.size() != 8 || name.find_first_not_of("0123456789") != std::string::npos) continue;
    auto bytes = read_file(entry.path(), 1_MiB);
    if (!bytes || bytes->size() < sizeof(trust::Signature)) continue;
    ByteReader reader(*bytes);
    Unsent unsent{entry.path(), {}, reader.array<64>()};
    unsent.receipt = copy(reader.view(reader.left()));
    out.push_back(std::move(unsent));
  }
  std::ranges::sort(out, {}, &Unsent::file);
  return out;
}

void NodeState::forget_unsent(ByteView receipt) {
  std::error_code ignored;
  for (const Unsent& waiting : unsent())
    if (std::ranges::equal(waiting.receipt, receipt)) std::filesystem::remove(waiting.file, ignored);
}

// What cannot be read is left alone: it may be somebody's.
void NodeState::forget_old_rescues(const disk::Rescue& newest) {
  if (newest.disk.serial.empty() && newest.disk.wwn.empty()) return;
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(rescue_folder(), error))
    if (entry.path().extension() == ".rescue") files.push_back(entry.path());
  std::ranges::sort(files, std::greater());  // their names begin with the time
  std::size_t kept = 1;                      // the newest, whatever the clock says
  for (const auto& file : files) {
    const auto bytes = read_file(file, disk::kMostRescue);
    if (!bytes) continue;
    const auto rescue = disk::decode_rescue(*bytes);
    if (!rescue || rescue->deployment == newest.deployment || !disk::check_same_disk(*rescue, newest.disk)) continue;
    if (++kept > kMostRescues) std::filesystem::remove(file, error);
  }
}

Result<std::filesystem::path> keep_rescue(const std::filesystem::path& folder, const disk::Rescue& rescue,
                                          ByteView encoded) {
  std::string time = to_rfc3339(rescue.saved);
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  const std::string disk = std::filesystem::path(rescue.disk.path).filename();
  auto path = folder / fmt::format("{}-{}-{:.12}.rescue", time, disk.substr(0, 100), to_hex(rescue.deployment));
  STAMPEDE_CHECK(make_folders(folder));
  STAMPEDE_CHECK(replace_file(path, encoded));
  return path;
}

}  // namespace stampede::deploy
