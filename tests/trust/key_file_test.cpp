#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "src/base/file.h"
#include "src/trust/keys.h"
#include "tests/scratch.h"

namespace stampede::trust {
namespace {

// The key of RFC 8032's first test vector, as PKCS #8.
constexpr std::string_view kVectorPem =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
// An X25519 key: right size, wrong kind.
constexpr std::string_view kOtherKind =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VuBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
constexpr std::string_view kEncrypted =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjzr3rKzKZv9QICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEB/UMDKQeGPjc3cyFYjRkkAEQHU2\n"
    "kNLniUnvEH8JR6+41ZF3V1nO+m2dpy5cLf9If1nIIpA8Bvmab2iIef8y1BvTkoba\n"
    "6p6LBQYcoocJBFdX3MI=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

void write(const std::filesystem::path& path, std::string_view text, unsigned mode = 0600) {
  std::ofstream(path) << text;
  ::chmod(path.c_str(), mode);
}

TEST(KeyFile, RoundTrip) {
  const Scratch folder;
  const PrivateKey key = PrivateKey::generate();
  ASSERT_TRUE(key.save(folder / "a.key"));
  struct stat status{};
  ASSERT_EQ(::stat((folder / "a.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  const auto loaded = PrivateKey::load(folder / "a.key");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->public_key(), key.public_key());
  EXPECT_EQ(loaded->sign("", as_bytes("x")), key.sign("", as_bytes("x")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "no temporary file is left";
}

TEST(KeyFile, SignsAsRfc8032Says) {
  const Scratch folder;
  write(folder / "v.key", kVectorPem);
  const auto key = PrivateKey::load(folder / "v.key");
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(to_string(key->public_key()), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  EXPECT_EQ(
      to_hex(key->sign("", {})),
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
      "55141438e7a100b");
}

TEST(KeyFile, AKeyIsNeverOverwritten) {
  const Scratch folder;
  const PrivateKey key = PrivateKey::generate();
  ASSERT_TRUE(key.save(folder / "a.key"));
  const auto again = PrivateKey::generate().save(folder / "a.key");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::usage);
  EXPECT_EQ(PrivateKey::load(folder / "a.key")->public_key(), key.public_key());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(KeyFile, RefusesAFileThatOthersMayUse) {
  const Scratch folder;
  write(folder / "open.key", kVectorPem);
  for (const unsigned mode : {0640U, 0604U, 0620U, 0610U, 0601U}) {
    ::chmod((folder / "open.key").c_str(), mode);
    const auto key = PrivateKey::load(folder / "open.key");
    ASSERT_FALSE(key) << mode;
    EXPECT_EQ(key.error().code, Code::usage);
    EXPECT_NE(key.error().message.find("chmod 600 " + (folder / "open.key").string()), std::string::npos)
        << key.error().message;
  }
  ::chmod((folder / "open.key").c_str(), 0400);
  EXPECT_TRUE(PrivateKey::load(folder / "open.key"));
}

TEST(KeyFile, RefusesWhatIsNoKeyOfOurs) {
  const Scratch folder;
  const auto code = [&](std::string_view name) {
    const auto key = PrivateKey::load(folder / name);
    return key ? Code::internal : key.error().code;
  };
  write(folder / "empty", "");
  write(folder / "text", "this is no key\n");
  write(folder / "cut", kVectorPem.substr(0, 70));
  write(folder / "kind", kOtherKind);
  write(folder / "encrypted", kEncrypted);
  write(folder / "large", std::string(5000, '\n') + std::string(kVectorPem));
  std::filesystem::create_directory(folder / "folder");
  ::mkfifo((folder / "pipe").c_str(), 0600);
  for (const std::string_view name : {"empty", "text", "cut", "kind", "encrypted", "large", "folder", "pipe", "absent"})
    EXPECT_EQ(code(name), Code::usage) << name;
}

TEST(KeyFile, LoadOrCreate) {
  const Scratch folder;
  const auto made = PrivateKey::load_or_create(folder / "n.key");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(PrivateKey::load_or_create(folder / "n.key")->public_key(), made->public_key());
  ::chmod((folder / "n.key").c_str(), 0644);
  EXPECT_FALSE(PrivateKey::load_or_create(folder / "n.key"));
  EXPECT_FALSE(PrivateKey::load_or_create(folder / "no-such-folder/n.key"));
}

// Several processes start together on an empty folder: all must end with the same key.
TEST(KeyFile, LoadOrCreateAtOnce) {
  for (int round = 0; round < 10; ++round) {
    const Scratch folder;
    std::array<int, 2> go{};
    std::array<int, 2> keys{};
    ASSERT_EQ(::pipe(go.data()), 0);
    ASSERT_EQ(::pipe(keys.data()), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        char byte = 0;
        ::close(go[1]);
        if (::read(go[0], &byte, 1) != 0) ::_exit(1);  // ends for all at once, when the parent closes
        const auto key = PrivateKey::load_or_create(folder / "n.key");
        if (!key) ::_exit(1);
        const PublicKey name = key->public_key();
        ::_exit(::write(keys[1], name.data(), name.size()) == 32 ? 0 : 1);
      }
      children.push_back(child);
    }
    ::close(go[0]);
    ::close(go[1]);
    ::close(keys[1]);
    for (const pid_t child : children) {
      int status = -1;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      EXPECT_EQ(status, 0);
    }
    const PublicKey kept = PrivateKey::load(folder / "n.key")->public_key();
    for (std::size_t i = 0; i < children.size(); ++i) {
      PublicKey name{};
      ASSERT_EQ(::read(keys[0], name.data(), name.size()), 32);
      EXPECT_EQ(name, kept);
    }
    ::close(keys[0]);
  }
}

}  // namespace
}  // namespace stampede::trust
