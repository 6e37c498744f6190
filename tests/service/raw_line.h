// Lines to a depot that are spoken by hand.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>

#include "tests/service/depot_fixture.h"
#include "transport/net/connection.h"
#include "transport/net/node.h"

namespace stampede::service {

// One line to the depot, spoken by hand.
class Raw {
 public:
  Raw(const net::Endpoint& depot, const std::optional<net::Identity>& identity, const trust::PublicKey& site) {
    auto tls = net::TlsContext::client(identity, site);
    std::promise<void> ready;
    loop_.run_and_wait([&] {
      net::Connection::Events events;
      events.ready = [&ready] { ready.set_value(); };
      events.message = [this](wire::Message message) {
        const std::lock_guard lock(mutex_);
        heard_.push_back(std::move(message));
        changed_.notify_all();
      };
      events.closed = [this](const Error&) {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_all();
      };
      connection_ = net::Connection::dial(loop_, depot, *tls, net::Line::to_depot, std::move(events));
    });
    EXPECT_EQ(ready.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }
  ~Raw() {
    loop_.run_and_wait([this] { connection_->close({Code::interrupted, "done"}); });
    loop_.stop();
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  void say(const wire::Message& message) {
    loop_.run_and_wait([&] { connection_->send(message); });
  }
  template <class M>
  std::optional<M> hear() {
    const auto is = [](const wire::Message& message) { return std::holds_alternative<M>(message); };
    std::unique_lock lock(mutex_);
    const auto comes = [&] { return closed_ || std::ranges::any_of(heard_, is); };
    if (!changed_.wait_for(lock, std::chrono::seconds(20), comes)) return std::nullopt;
    const auto found = std::ranges::find_if(heard_, is);
    if (found == heard_.end()) return std::nullopt;
    M message = std::get<M>(*found);
    heard_.erase(found);
    return message;
  }
  // Which of the two comes first: whether it is the first.
  template <class M, class N>
  bool hears_either() {
    {
      std::unique_lock lock(mutex_);
      const auto comes = [&] {
        return closed_ || std::ranges::any_of(heard_, [](const wire::Message& message) {
                 return std::holds_alternative<M>(message) || std::holds_alternative<N>(message);
               });
      };
      if (!changed_.wait_for(lock, std::chrono::seconds(20), comes)) return false;
      const auto is_second = [](const wire::Message& message) { return std::holds_alternative<N>(message); };
      if (const auto second = std::ranges::find_if(heard_, is_second); second != heard_.end()) {
        heard_.erase(second);
        return false;
      }
    }
    return hear<M>().has_value();
  }
  bool ends() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [this] { return closed_; });
  }
  // As much of it as the line takes.
  std::size_t say_again(const wire::Message& message) {
    std::size_t said = 0;
    loop_.run_and_wait([&] {
      while (connection_->is_open() && connection_->queued() < net::kQueueLimit / 2) {
        connection_->send(message);
        ++said;
      }
    });
    return said;
  }
  // Up: the depot has answered.
  bool works() {
    say(wire::Ping{});
    return hear<wire::Pong>().has_value();
  }

 private:
  net::Loop loop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<wire::Message> heard_;
  bool closed_ = false;
  net::Connection::Ptr connection_;
};

class RawTest : public DepotTest {
 protected:
  net::Identity enrolled() {
    const auto parsed = *trust::parse_token(token());
    auto identity =
        net::enrol(at_, parsed.site, parsed.secret, trust::PrivateKey::generate(), {.patience = std::chrono::seconds(5)});
    EXPECT_TRUE(identity) << identity.error().message;
    return *identity;
  }
  std::unique_ptr<Raw> line(const std::optional<net::Identity>& identity) {
    return std::make_unique<Raw>(at_, identity, site_->authority.public_key());
  }
};

}  // namespace stampede::service
