#include "src/service/http_bridge.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <thread>

#include "chunker/digest.h"
#include "chunker/seal.h"
#include "src/casync/index.h"
#include "src/casync/zeros.h"
#include "src/service/site.h"
#include "tests/service/depot_fixture.h"

namespace stampede::service {
namespace {

// Says exactly these bytes, and gives back what comes until the other side closes.
class Caller {
 public:
  explicit Caller(const net::Endpoint& at) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(at.port), .sin_addr = {}, .sin_zero = {}};
    ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Caller() { ::close(fd_); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  void say(std::string_view text) const {
    while (!text.empty()) {
      const auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  std::string hear_all() const {
    std::string all;
    while (true) {
      const std::string more = hear_some();
      if (more.empty()) return all;
      all += more;
    }
  }
  // Nothing: closed.
  std::string hear_some() const {
    std::string part(65536, '\0');
    const auto got = ::recv(fd_, part.data(), part.size(), 0);
    part.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return part;
  }

 private:
  int fd_;
};

struct Said {
  unsigned status = 0;
  std::string head;
  std::string body;
  bool has(std::string_view header) const { return head.find(header) != std::string::npos; }
};

Said parse(const std::string& all) {
  Said said;
  const std::size_t end = all.find("\r\n\r\n");
  if (!all.starts_with("HTTP/1.1 ") || end == std::string::npos) return said;
  said.status = static_cast<unsigned>(std::stoul(all.substr(9, 3)));
  said.head = all.substr(0, end + 2);
  said.body = all.substr(end + 4);
  return said;
}

class HttpBridgeTest : public StoreTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(StoreTest::SetUp());
    start({{"127.0.0.1", 0}});
  }
  void start(const HttpOptions& options) {
    bridge_.reset();
    auto bridge = HttpBridge::start(*store_, options);
    ASSERT_TRUE(bridge) << bridge.error().message;
    bridge_ = std::move(*bridge);
  }
  std::string exchange(std::string_view text) const {
    const Caller caller(bridge_->local());
    caller.say(text);
    return caller.hear_all();
  }
  Said ask(std::string_view method, std::string_view target, std::string_view headers = {}) const {
    return parse(exchange(fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", method, target, headers)));
  }
  Said get(std::string_view target) const { return ask("GET", target); }
  static std::string chunk_path(const casync::Id& id) { return "/casync/store/" + casync::store_path(id); }

  std::unique_ptr<HttpBridge> bridge_;
};

TEST_F(HttpBridgeTest, GivesAnImageAsIndexAndChunks) {
  const Bytes image = make_image(5'000'077, 3);
  const auto imported = import(image, "debian:12");
  const Said said = get("/casync/debian:12.caibx");
  ASSERT_EQ(said.status, 200U);
  EXPECT_TRUE(said.has(fmt::format("Content-Length: {}\r\n", said.body.size()))) << said.head;
  EXPECT_TRUE(said.has(fmt::format("ETag: \"{}\"\r\n", to_string(imported.record.image)))) << said.head;
  EXPECT_TRUE(said.has("Cache-Control: no-cache\r\n")) << said.head;
  const auto index = casync::Index::decode(copy(as_bytes(said.body)));
  ASSERT_TRUE(index) << index.error().message;
  ASSERT_EQ(index->image_size().bytes, image.size());
  chunker::Opener opener;
  for (std::size_t i = 0; i < index->count(); ++i) {
    const auto chunk = index->chunk(i);
    const Said sealed = get(chunk_path(chunk.id));
    ASSERT_EQ(sealed.status, 200U);
    EXPECT_TRUE(sealed.has("immutable")) << sealed.head;
    Bytes plain(chunk.length.bytes);
    ASSERT_TRUE(opener.open_frame(as_bytes(sealed.body), plain));
    EXPECT_TRUE(std::ranges::equal(plain, ByteView(image).subspan(chunk.offset.bytes, plain.size()))) << i;
  }
}

// For who has a seed: as pieces of one size, which rest nowhere.
TEST_F(HttpBridgeTest, GivesAnImageInPiecesOfOneSize) {
  const Bytes image = make_image(5'000'077, 3);
  import(image, "debian:12");
  const Said said = get("/casync/fixed/debian:12.caibx");
  ASSERT_EQ(said.status, 200U);
  EXPECT_TRUE(said.has(fmt::format("Content-Length: {}\r\n", said.body.size()))) << said.head;
  const auto index = casync::Index::decode(copy(as_bytes(said.body)));
  ASSERT_TRUE(index) << index.error().message;
  ASSERT_EQ(index->image_size().bytes, image.size());
  chunker::Opener opener;
  for (std::size_t i = 0; i < index->count(); ++i) {
    const auto chunk = index->chunk(i);
    const Said sealed = get("/casync/fixed/default.castr/" + casync::store_path(chunk.id));
    ASSERT_EQ(sealed.status, 200U);
    Bytes plain(chunk.length.bytes);
    ASSERT_TRUE(opener.open_frame(as_bytes(sealed.body), plain));
    EXPECT_TRUE(std::ranges::equal(plain, ByteView(image).subspan(chunk.offset.bytes, plain.size()))) << i;
  }
  EXPECT_EQ(get("/casync/fixed/debian:13.caibx").status, 404U);
}

TEST_F(HttpBridgeTest, NamesTheVeryImage) {
  const auto imported = import(make_image(700'000, 3), "debian:12");
  const Said by_id = get(fmt::format("/casync/debian@{}.caibx", to_string(imported.record.image)));
  EXPECT_EQ(by_id.status, 200U);
  EXPECT_TRUE(by_id.has("immutable"));
  EXPECT_EQ(by_id.body, get("/casync/debian:12.caibx").body);
  EXPECT_EQ(get(fmt::format("/casync/other@{}.caibx", to_string(imported.record.image))).status, 404U);
  const Said root = get("/manifest/" + to_string(imported.record.image));
  EXPECT_EQ(root.status, 200U);
  EXPECT_EQ(chunker::sha256(as_bytes(root.body)), imported.record.image.digest);
  EXPECT_EQ(get("/manifest/" + to_hex(casync::zero_id(4_KiB).digest)).status, 404U);
}

TEST_F(HttpBridgeTest, SaysWhatIsWrong) {
  import(make_image(700'000, 3), "debian:12");
  EXPECT_EQ(get("/casync/debian:13.caibx").status, 404U);
  EXPECT_EQ(get("/casync/store/../../keys/signing.key").status, 404U);
  EXPECT_EQ(get("/casync/%2e%2e.caibx").status, 400U);
  EXPECT_EQ(get(chunk_path(chunker::sha256(as_bytes("none")))).status, 404U);
  for (const char* method : {"PUT", "POST", "DELETE", "OPTIONS"}) {
    const Said said = ask(method, "/casync/debian:12.caibx");
    EXPECT_EQ(said.status, 405U) << method;
    EXPECT_TRUE(said.has("Allow: GET, HEAD\r\n"));
  }
  EXPECT_EQ(parse(exchange("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")).status, 400U) << "no host";
  EXPECT_EQ(parse(exchange("rubbish\r\n\r\n")).status, 400U);
  EXPECT_EQ(parse(exchange("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")).status, 400U);
  EXPECT_EQ(parse(exchange(fmt::format("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", std::string(9000, 'a')))).status, 431U);
  EXPECT_EQ(exchange("\x16\x03\x01").substr(0, 4), "HTTP") << "TLS";
}

TEST_F(HttpBridgeTest, HeadHasNoBody) {
  import(make_image(700'000, 3), "debian:12");
  const Said index = get("/casync/debian:12.caibx");
  const Said head = ask("HEAD", "/casync/debian:12.caibx");
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.head, index.head);
  EXPECT_EQ(head.body, "");
}

TEST_F(HttpBridgeTest, WhatIsHadIsNotSentAgain) {
  const auto imported = import(make_image(700'000, 3), "debian:12");
  const std::string had = fmt::format("If-None-Match: \"{}\"\r\n", to_string(imported.record.image));
  const Said said = ask("GET", "/casync/debian:12.caibx", had);
  EXPECT_EQ(said.status, 304U);
  EXPECT_EQ(said.body, "");
  EXPECT_EQ(ask("GET", "/casync/debian:12.caibx", "If-None-Match: \"other\"\r\n").status, 200U);
}

TEST_F(HttpBridgeTest, AnswersManyRequestsOfAConnection) {
  const std::string one = fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", chunk_path(casync::zero_id(256_KiB).digest));
  std::string all;
  for (int i = 0; i < 50; ++i) all += one;
  const std::string said = exchange(all + "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  std::size_t answers = 0;
  for (std::size_t at = said.find("HTTP/1.1 200"); at != std::string::npos; at = said.find("HTTP/1.1 200", at + 1))
    ++answers;
  EXPECT_EQ(answers, 50U);
}

// Records that nobody vouches for, or a signer who is not accepted, are not served.
TEST_F(HttpBridgeTest, ServesNoImageOfAnUnknownSigner) {
  import(make_image(700'000, 3), "debian:12");
  EXPECT_EQ(get("/casync/debian:12.caibx").status, 200U);
  ASSERT_TRUE(replace_file(store_->folder() / "keys/signers", as_bytes(std::string(64, 'a') + "\n")));
  EXPECT_EQ(get("/casync/debian:12.caibx").status, 403U);
}

TEST_F(HttpBridgeTest, WhoSaysNothingIsLeft) {
  start({.listen = {"127.0.0.1", 0}, .head_patience = std::chrono::milliseconds(100)});
  const Caller slow(bridge_->local());
  slow.say("GET /casync/");
  EXPECT_EQ(slow.hear_all(), "");
}

// Those that keep places without asking give way to those who ask.
TEST_F(HttpBridgeTest, IdleConnectionsGiveWay) {
  start({.listen = {"127.0.0.1", 0}, .connections = 4});
  std::vector<std::unique_ptr<Caller>> idle;
  for (int i = 0; i < 12; ++i) {
    idle.push_back(std::make_unique<Caller>(bridge_->local()));
    EXPECT_EQ(get("/").status, 404U);
  }
  EXPECT_EQ(idle.front()->hear_all(), "");
}

TEST_F(HttpBridgeTest, OneAddressHasSoManyPlaces) {
  start({.listen = {"127.0.0.1", 0}, .of_an_address = 2});
  const std::string ask = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  const Caller one(bridge_->local());
  const Caller two(bridge_->local());
  for (const Caller* caller : {&one, &two}) {
    caller->say(ask);
    EXPECT_EQ(parse(caller->hear_some()).status, 404U);
  }
  EXPECT_EQ(exchange(ask), "");
}

TEST_F(HttpBridgeTest, StopsWhileOthersAreConnected) {
  const Caller idle(bridge_->local());
  const Caller half(bridge_->local());
  half.say("GET /casync/");
  bridge_.reset();
  EXPECT_EQ(idle.hear_all(), "");
  EXPECT_EQ(half.hear_all(), "");
}

TEST_F(HttpBridgeTest, SaysWhoHasItsPort) {
  const auto again = HttpBridge::start(*store_, {bridge_->local()});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::address_in_use);
  const auto named = HttpBridge::start(*store_, {{"depot.lan", 0}});
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().code, Code::usage);
}

}  // namespace
}  // namespace stampede::service
