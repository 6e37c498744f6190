#include <spdlog/spdlog.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "src/service/http_session_impl.h"

namespace stampede::service {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

using Response = http::response<http::buffer_body>;

// Whether If-None-Match names what would be sent.
bool is_had(const http::request<http::empty_body>& request, const HttpAnswer& answer) {
  const auto had = request.find(http::field::if_none_match);
  return had != request.end() && !answer.tag.empty() && had->value().find('"' + answer.tag + '"') != std::string_view::npos;
}

Response head_of(const HttpAnswer& answer, unsigned version, bool keep_alive) {
  Response response(http::int_to_status(answer.status), version);
  response.set(http::field::server, "stampede");
  if (answer.status == 405) response.set(http::field::allow, "GET, HEAD");
  if (!answer.tag.empty()) response.set(http::field::etag, '"' + answer.tag + '"');
  if (answer.status == 200 || answer.status == 304)
    response.set(http::field::cache_control, answer.for_ever ? "public, max-age=31536000, immutable" : "no-cache");
  else
    response.set(http::field::cache_control, "no-store");
  if (answer.status != 304) {
    response.set(http::field::content_type, answer.type);
    response.content_length(answer.size);
  }
  response.keep_alive(keep_alive);
  return response;
}

class BeastSession final : public HttpSession, public std::enable_shared_from_this<BeastSession> {
 public:
  BeastSession(asio::ip::tcp::socket socket, std::string from, HttpContent& content, Duration head_patience, Gone gone)
      : stream_(std::move(socket)),
        from_(std::move(from)),
        content_(content),
        head_patience_(head_patience),
        gone_(std::move(gone)) {}
  ~BeastSession() override { gone_(sums_); }

  void start() override {
    asio::post(stream_.get_executor(), [self = shared_from_this()] { self->read(); });
  }

  void finish() override {
    asio::post(stream_.get_executor(), [self = shared_from_this()] {
      self->finishing_ = true;
      if (self->waiting_) self->close();
    });
  }

  bool is_waiting() const override { return waiting_; }

 private:
  // Idle or sending its request: the same patience holds for both together.
  void read() {
    if (finishing_) return close();
    waiting_ = true;
    parser_.emplace();
    parser_->header_limit(kMaxHttpHead);
    parser_->body_limit(0);
    stream_.expires_after(head_patience_);
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](const beast::error_code& error, std::size_t) {
      self->waiting_ = false;
      self->have_read(error);
    });
  }

  void have_read(const beast::error_code& error) {
    if (!error) return respond();
    // Who sends nothing sensible is told so where that is certain; the others are gone, or too slow.
    if (error == http::error::end_of_stream || error == http::error::partial_message) return close();
    if (error.category() != http::make_error_code(http::error::bad_method).category()) return close();
    keep_alive_ = false;
    version_ = 11;
    ++sums_.requests;
    send(error == http::error::header_limit ? http_refusal(431, "the request's head is too long")
                                            : http_refusal(400, "not a request of HTTP/1.1 without a body"),
         true);
  }

  void respond() {
    const auto& request = parser_->get();
    version_ = request.version();
    keep_alive_ = request.keep_alive() && !finishing_;
    ++sums_.requests;
    const bool get = request.method() == http::verb::get;
    if (!get && request.method() != http::verb::head) return send(http_refusal(405, "GET and HEAD alone"), true);
    if (version_ == 11 && request.find(http::field::host) == request.end())
      return send(http_refusal(400, "a request of HTTP/1.1 names its host"), true);
    const HttpAsk ask = parse_target(request.target());
    HttpAnswer answer = content_.answer(ask, from_);
    if (answer.status == 200 && std::holds_alternative<AskChunk>(ask)) ++sums_.chunks;
    if (answer.status == 200 && is_had(request, answer)) {
      answer.status = 304;
      return send(std::move(answer), false);
    }
    send(std::move(answer), get);
  }

  void send(HttpAnswer answer, bool with_body) {
    answer_ = std::move(answer);
    response_.emplace(head_of(answer_, version_, keep_alive_));
    serializer_.emplace(*response_);
    if (!with_body) {
      serializer_->split(true);
      stream_.expires_after(kHttpWritePatience);
      return http::async_write_header(
          stream_, *serializer_, [self = shared_from_this()](const auto& error, std::size_t) { self->has_sent(error); });
    }
    next_part();
  }

  void next_part() {
    auto& body = response_->body();
    if (answer_.parts) {
      auto part = answer_.parts();
      if (!part) {
        spdlog::error("http: what {} asked for breaks off: {}", from_, part.error().message);
        return close();  // it is shorter than was promised, so nobody takes it for the whole
      }
      answer_.body = *std::move(part);
    } else if (part_sent_) {
      answer_.body.clear();
    }
    part_sent_ = true;
    body.more = !answer_.body.empty();
    body.data = answer_.body.empty() ? nullptr : answer_.body.data();
    body.size = answer_.body.size();
    sums_.bytes += answer_.body.size();
    stream_.expires_after(kHttpWritePatience);
    http::async_write(stream_, *serializer_, [self = shared_from_this()](const beast::error_code& error, std::size_t) {
      if (error == http::error::need_buffer) return self->next_part();
      self->has_sent(error);
    });
  }

  void has_sent(const beast::error_code& error) {
    part_sent_ = false;
    answer_ = {};
    if (error) return close();
    if (!keep_alive_) {
      beast::error_code ignored;
      stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
      return close();
    }
    read();
  }

  void close() {
    waiting_ = false;
    stream_.close();
  }

  beast::tcp_stream stream_;
  const std::string from_;
  HttpContent& content_;
  const Duration head_patience_;
  Gone gone_;
  Sums sums_;
  beast::flat_buffer buffer_{kMaxHttpHead * 2};
  std::optional<http::request_parser<http::empty_body>> parser_;
  HttpAnswer answer_;
  std::optional<Response> response_;
  std::optional<http::response_serializer<http::buffer_body>> serializer_;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool part_sent_ = false;
  bool finishing_ = false;
  std::atomic<bool> waiting_ = false;
};

}  // namespace

std::shared_ptr<HttpSession> make_http_session(asio::ip::tcp::socket socket, std::string from, HttpContent& content,
                                               Duration head_patience, HttpSession::Gone gone) {
  boost::system::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  return std::make_shared<BeastSession>(std::move(socket), std::move(from), content, head_patience, std::move(gone));
}

}  // namespace stampede::service
