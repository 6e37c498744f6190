#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <cerrno>

#include "src/base/file.h"
#include "src/trust/keys.h"
#include "src/trust/openssl_impl.h"
#include "src/trust/publish_impl.h"

namespace stampede::trust {

namespace {

constexpr std::size_t kMaxKeyFile = 4096;

struct SecretBytes {
  Bytes bytes;
  explicit SecretBytes(std::size_t size) : bytes(size) {}
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

Result<> check_private(const File& file) {
  struct stat status{};
  if (::fstat(file.fd(), &status) != 0) return fail(Code::usage, "cannot stat {}: {}", file.name(), errno_text(errno));
  if (!S_ISREG(status.st_mode)) return fail(Code::usage, "key {} is not a regular file", file.name());
  if ((status.st_mode & 077) != 0)
    return fail(Code::usage, "key {} has mode {:04o}, so others may use it; keep it to its owner: chmod 600 {}", file.name(),
                status.st_mode & 07777U, file.name());
  return {};
}

// Without this OpenSSL asks the terminal for the password of an encrypted key.
int no_password(char*, int, int, void*) { return -1; }

}  // namespace

Result<PrivateKey> PrivateKey::load(const std::filesystem::path& path) {
  // O_NONBLOCK: a pipe in its place must not hold us up before it is refused.
  STAMPEDE_TRY(const File file, File::open(path, O_RDONLY | O_NONBLOCK));
  STAMPEDE_CHECK(check_private(file));
  SecretBytes pem(kMaxKeyFile + 1);
  STAMPEDE_TRY(const std::size_t size, file.read_some_at({}, pem.bytes));
  if (size > kMaxKeyFile) return fail(Code::usage, "key {} is larger than {} bytes", path.string(), kMaxKeyFile);

  const BioPtr bio(BIO_new_mem_buf(pem.bytes.data(), static_cast<int>(size)));
  must(bio != nullptr, "reading a key");
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr), EVP_PKEY_free);
  if (!key) return fail(Code::usage, "{} is not a private key in PEM: {}", path.string(), openssl_reason());
  if (!ed25519_of(key.get())) return fail(Code::usage, "key {} is not of kind Ed25519", path.string());
  return PrivateKey(std::move(key));
}

Result<> PrivateKey::save(const std::filesystem::path& path) const {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  must(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
       "encoding a key");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  STAMPEDE_TRY(const bool made, publish(path, as_bytes({text, static_cast<std::size_t>(size)}), 0600));
  if (!made) return fail(Code::usage, "{} exists; a key is never overwritten: move it away first", path.string());
  return {};
}

Result<PrivateKey> PrivateKey::load_or_create(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return load(path);
  PrivateKey key = generate();
  if (const auto saved = key.save(path); !saved) {
    // Somebody else may have made one meanwhile: theirs counts then.
    if (std::filesystem::exists(path, ignored)) return load(path);
    return pass(saved.error());
  }
  return key;
}

}  // namespace stampede::trust
