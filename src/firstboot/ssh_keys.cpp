#include <algorithm>
#include <optional>

#include "src/base/bytes.h"
#include "src/firstboot/instance.h"

namespace stampede::firstboot {

namespace {

constexpr std::size_t kMostKey = 16 * 1024;
constexpr std::string_view kTypes[] = {
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// The next word; quotes keep spaces in, as sshd(8) has it for options.
std::string_view take_word(std::string_view& text) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < text.size() && (quoted || (text[end] != ' ' && text[end] != '\t')); ++end) {
    if (text[end] == '\\' && end + 1 < text.size() && text[end + 1] == '"') {
      ++end;
    } else if (text[end] == '"') {
      quoted = !quoted;
    }
  }
  const std::string_view word = text.substr(0, end);
  text = trimmed(text.substr(end));
  return word;
}

bool is_type(std::string_view word) { return std::ranges::find(kTypes, word) != std::end(kTypes); }

// The next string of a key: a big-endian u32 length and that many bytes. Nothing if the key is cut off there.
std::optional<ByteView> take_string(ByteReader& in) {
  const ByteView bytes = in.view(std::byteswap(in.u32()));
  if (!in.ok()) return std::nullopt;
  return bytes;
}

// RFC 4253 §6.6: base64 of a sequence of strings, the first of which is the type. Certificates have numbers in between.
bool is_blob_of(std::string_view type, std::string base64) {
  while (base64.ends_with('=')) base64.pop_back();
  std::ranges::replace(base64, '+', '-');
  std::ranges::replace(base64, '/', '_');
  const auto blob = from_base64url(base64);
  if (!blob) return false;
  ByteReader in(*blob);
  const auto first = take_string(in);
  if (!first || as_text(*first) != type || in.left() == 0) return false;
  if (type.find("-cert-") != type.npos) return true;
  while (in.ok() && in.left() > 0)
    if (const auto part = take_string(in); !part) return false;
  return in.ok();
}

Result<> check_key(std::string_view line, std::size_t number) {
  if (line.size() > kMostKey) return fail(Code::usage, "SSH key in line {}: longer than {} bytes", number, kMostKey);
  if (line.find("PRIVATE KEY") != line.npos)
    return fail(Code::usage, "SSH key in line {}: that is a private key; give the public one (.pub)", number);
  if (std::ranges::any_of(line, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }))
    return fail(Code::usage, "SSH key in line {}: control characters", number);
  std::string_view type = take_word(line);
  if (!is_type(type)) type = take_word(line);  // the first word was options
  if (!is_type(type)) return fail(Code::usage, "SSH key in line {}: no known type such as ssh-ed25519", number);
  if (!is_blob_of(type, std::string(take_word(line))))
    return fail(Code::usage, "SSH key in line {}: its text is not a whole {} key", number, type);
  return {};
}

}  // namespace

Result<std::vector<std::string>> parse_ssh_keys(std::string_view authorized_keys) {
  std::vector<std::string> out;
  for (std::size_t number = 1; !authorized_keys.empty(); ++number) {
    const std::string_view whole = authorized_keys.substr(0, authorized_keys.find('\n'));
    authorized_keys.remove_prefix(std::min(whole.size() + 1, authorized_keys.size()));
    const std::string_view line = trimmed(whole);
    if (line.empty() || line.starts_with('#')) continue;
    STAMPEDE_CHECK(check_key(line, number));
    out.emplace_back(line);
  }
  return out;
}

}  // namespace stampede::firstboot
