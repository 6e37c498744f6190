#include "src/casync/remote.h"

#include <curl/curl.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "src/base/lazy_library.h"

namespace stampede::casync {
namespace {

struct Curl : LazyLibrary {
  Curl() : LazyLibrary("libcurl.so.4", "libcurl4") {}
  decltype(&curl_global_init) global_init = function("curl_global_init");
  decltype(&curl_easy_init) easy_init = function("curl_easy_init");
  decltype(&curl_easy_setopt) easy_setopt = function("curl_easy_setopt");
  decltype(&curl_easy_perform) easy_perform = function("curl_easy_perform");
  decltype(&curl_easy_getinfo) easy_getinfo = function("curl_easy_getinfo");
  decltype(&curl_easy_strerror) easy_strerror = function("curl_easy_strerror");
  decltype(&curl_easy_cleanup) easy_cleanup = function("curl_easy_cleanup");
};

const Curl& curl() {
  static const Curl library;
  return library;
}

constexpr int kAttempts = 3;
constexpr std::chrono::milliseconds kPause{300};  // twice as long each time

// What comes of one request. Its address is curl's.
struct Incoming {
  Bytes bytes;
  Size most;
  bool too_much = false;
};

std::size_t take(const char* data, std::size_t one, std::size_t count, void* to) {
  auto& incoming = *static_cast<Incoming*>(to);
  const ByteView part = as_bytes({data, one * count});
  if (part.size() > incoming.most.bytes - incoming.bytes.size()) {
    incoming.too_much = true;
    return 0;
  }
  incoming.bytes.insert(incoming.bytes.end(), part.begin(), part.end());
  return part.size();
}

int ask_whether_to_stop(void* interrupted, curl_off_t /*all*/, curl_off_t /*now*/, curl_off_t /*up*/, curl_off_t /*sent*/) {
  const auto& asked = *static_cast<const std::function<bool()>*>(interrupted);
  return asked && asked() ? 1 : 0;
}

bool may_pass(CURLcode code, long status) {
  switch (code) {
    case CURLE_OK:
      return status >= 500 || status == 429;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_url(std::string_view location) { return location.starts_with("http://") || location.starts_with("https://"); }

struct Remote::Handle {
  explicit Handle(std::function<bool()> asked) : interrupted(std::move(asked)) {
    if (!curl().usable()) return;  // get() says it
    static const bool begun = [] {
      std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to sockets that the other side may have closed
      return curl().global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    }();
    easy = begun ? curl().easy_init() : nullptr;
    if (easy == nullptr) std::abort();  // no memory
    curl().easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl().easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl().easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl().easy_setopt(easy, CURLOPT_MAXREDIRS, 5L);
    curl().easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, 10L);
    curl().easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1000L);
    curl().easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 30L);
    curl().easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl().easy_setopt(easy, CURLOPT_USERAGENT, "stampede");
    curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    curl().easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl().easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl().easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, ask_whether_to_stop);
    curl().easy_setopt(easy, CURLOPT_XFERINFODATA, &interrupted);
  }
  ~Handle() {
    if (easy != nullptr) curl().easy_cleanup(easy);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  CURL* easy = nullptr;
  std::function<bool()> interrupted;
  char why[CURL_ERROR_SIZE] = {};
};

Remote::Remote(std::function<bool()> interrupted) : handle_(std::make_unique<Handle>(std::move(interrupted))) {}
Remote::~Remote() = default;
Remote::Remote(Remote&&) noexcept = default;

Result<Bytes> Remote::get(const std::string& url, Size most) {
  STAMPEDE_CHECK(curl().usable());
  Handle& handle = *handle_;
  for (int attempt = 1;; ++attempt) {
    Incoming incoming{{}, most};
    handle.why[0] = '\0';
    curl().easy_setopt(handle.easy, CURLOPT_URL, url.c_str());
    curl().easy_setopt(handle.easy, CURLOPT_WRITEDATA, &incoming);
    const CURLcode code = curl().easy_perform(handle.easy);
    long status = 0;
    curl().easy_getinfo(handle.easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_ABORTED_BY_CALLBACK) return fail(Code::interrupted, "interrupted by a signal");
    if (code == CURLE_OK && status == 200) return std::move(incoming.bytes);
    if (may_pass(code, status) && attempt < kAttempts) {
      std::this_thread::sleep_for(kPause * (1 << attempt));
      continue;
    }
    if (incoming.too_much && status == 200)
      return fail(Code::usage, "{} is larger than the {} bytes that it may have", url, most.bytes);
    if (code == CURLE_OK && (status == 404 || status == 410)) return fail(Code::not_found, "{}: not found", url);
    if (code == CURLE_OK || status >= 400)
      return fail(Code::unreachable, "{}: the server answers with status {}", url, status);
    return fail(Code::unreachable, "{}: {}", url, handle.why[0] != '\0' ? handle.why : curl().easy_strerror(code));
  }
}

}  // namespace stampede::casync
