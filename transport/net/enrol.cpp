#include <future>
#include <thread>

#include "transport/net/connection.h"
#include "transport/net/node.h"
#include "transport/net/waiting.h"

namespace stampede::net {

namespace {

// One attempt: connect without a certificate, show the token, take the certificate.
Result<Identity> try_enrol(Loop& loop, const Endpoint& depot, const std::shared_ptr<TlsContext>& tls,
                           const wire::Enrol& enrol, const trust::PrivateKey& key) {
  struct Attempt {
    std::promise<Result<Identity>> promise;
    bool answered = false;
    Connection::Ptr connection;
    void answer(Result<Identity> result) {
      if (!std::exchange(answered, true)) promise.set_value(std::move(result));
    }
  };
  auto attempt = std::make_shared<Attempt>();
  Connection::Events events;
  events.ready = [attempt, &enrol] {
    // The secret is for a depot alone.
    if (attempt->connection->peer()->role == trust::Role::depot)
      attempt->connection->send(enrol);
    else
      attempt->answer(fail(Code::peer_untrusted, "who answers at this address is not a depot"));
  };
  events.message = [attempt, &key](wire::Message message) {
    if (auto* done = std::get_if<wire::Enrolled>(&message))
      attempt->answer(Identity{key, std::move(done->certificate), std::move(done->authority)});
    else if (auto* error = std::get_if<wire::ErrorMessage>(&message))
      attempt->answer(std::unexpected(Error{static_cast<Code>(error->code), error->text}));
    else
      attempt->answer(fail(Code::protocol, "the depot answered an enrolment with something else"));
  };
  events.closed = [attempt](const Error& error) { attempt->answer(std::unexpected(error)); };
  loop.post([&] { attempt->connection = Connection::dial(loop, depot, tls, std::move(events)); });
  auto result = attempt->promise.get_future().get();
  loop.run_and_wait([&] {
    attempt->connection->close({Code::interrupted, "done"});
    attempt->connection.reset();
  });
  return result;
}

}  // namespace

Result<Identity> enrol(const Endpoint& depot, const trust::PublicKey& site, const std::array<std::byte, 32>& secret,
                       const trust::PrivateKey& key, Duration patience, const std::function<void(std::string_view)>& warn) {
  STAMPEDE_TRY(auto tls, TlsContext::client(std::nullopt, site));
  const wire::Enrol enrol{secret, trust::make_request(key)};
  const Instant start = system_clock().now();
  Loop loop;
  bool warned = false;
  while (true) {
    auto identity = try_enrol(loop, depot, tls, enrol, key);
    if (identity || class_of(identity.error().code) != "retryable") return identity;
    if (system_clock().now() - start >= patience)
      return pass(std::move(identity).error(), fmt::format("cannot enrol at the depot {}", depot.text()));
    if (system_clock().now() - start > kQuietWait && !std::exchange(warned, true))
      warn(waiting_text(depot, patience, identity.error().message));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace stampede::net
