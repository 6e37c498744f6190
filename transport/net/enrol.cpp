#include <algorithm>
#include <future>
#include <thread>

#include "transport/net/connection.h"
#include "transport/net/node.h"
#include "transport/net/remote_error.h"
#include "transport/net/waiting.h"

namespace stampede::net {

namespace {

constexpr Duration kSlice = std::chrono::milliseconds(50);
// How long one attempt may take, whatever the patience.
constexpr Duration kLeastAttempt = std::chrono::seconds(3);
constexpr Duration kLongestAttempt = std::chrono::seconds(15);

struct Attempt {
  std::promise<Result<Identity>> promise;
  bool answered = false;
  Connection::Ptr connection;
  void answer(Result<Identity> result) {
    if (!std::exchange(answered, true)) promise.set_value(std::move(result));
  }
};

// One attempt: connect without a certificate, show the token, take the certificate.
Connection::Events show(const std::shared_ptr<Attempt>& attempt, const wire::Enrol& enrol, const trust::PrivateKey& key) {
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
      attempt->answer(std::unexpected(remote_error(*error)));
    else if (!std::holds_alternative<wire::Pong>(message))
      attempt->answer(fail(Code::protocol, "the depot answered an enrolment with something else"));
  };
  events.closed = [attempt](const Error& error) { attempt->answer(std::unexpected(error)); };
  return events;
}

Result<Identity> wait_for(Attempt& attempt, Duration limit, const std::function<bool()>& stopped) {
  auto answer = attempt.promise.get_future();
  const Instant start = system_clock().now();
  while (answer.wait_for(kSlice) != std::future_status::ready) {
    if (stopped()) return fail(Code::interrupted, "interrupted while enrolling");
    if (system_clock().now() - start >= limit) return fail(Code::unreachable, "the depot does not answer the enrolment");
  }
  return answer.get();
}

Result<Identity> try_enrol(Loop& loop, const Endpoint& depot, const std::shared_ptr<TlsContext>& tls,
                           const wire::Enrol& enrol, const trust::PrivateKey& key, Duration limit,
                           const std::function<bool()>& stopped) {
  auto attempt = std::make_shared<Attempt>();
  loop.run_and_wait(
      [&] { attempt->connection = Connection::dial(loop, depot, tls, Line::to_depot, show(attempt, enrol, key)); });
  auto result = wait_for(*attempt, limit, stopped);
  loop.run_and_wait([&] {
    attempt->connection->close({Code::interrupted, "done"});
    attempt->connection.reset();
  });
  return result;
}

void pause(Duration time, const std::function<bool()>& stopped) {
  for (Duration slept{}; slept < time && !stopped(); slept += kSlice) std::this_thread::sleep_for(kSlice);
}

}  // namespace

Result<Identity> enrol(const Endpoint& depot, const trust::PublicKey& site, const std::array<std::byte, 32>& secret,
                       const trust::PrivateKey& key, const Waiting& waiting) {
  STAMPEDE_TRY(auto tls, TlsContext::client(std::nullopt, site));
  const wire::Enrol enrol{secret, trust::make_request(key)};
  const Instant start = system_clock().now();
  Loop loop;
  bool warned = false;
  while (true) {
    const Duration left = waiting.patience - (system_clock().now() - start);
    auto identity =
        try_enrol(loop, depot, tls, enrol, key, std::clamp(left, kLeastAttempt, kLongestAttempt), waiting.stopped);
    if (identity || !passes(identity.error())) return identity;
    if (waiting.stopped()) return fail(Code::interrupted, "interrupted while enrolling");
    if (system_clock().now() - start >= waiting.patience)
      return pass(std::move(identity).error(), fmt::format("cannot enrol at the depot {}", depot.text()));
    if (system_clock().now() - start > kQuietWait && !std::exchange(warned, true))
      waiting.warn(waiting_text(depot, waiting.patience, identity.error().message));
    pause(std::chrono::milliseconds(200), waiting.stopped);
  }
}

}  // namespace stampede::net
