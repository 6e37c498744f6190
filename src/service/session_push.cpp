// What a session does of a push: it brings each message to the intake, on the intake's own thread, and reads nothing more
// until that is done. So a pusher is as fast as its chunks are packed, and no faster.
#include <utility>

#include "src/service/session.h"

namespace stampede::service {

bool Session::take_push(wire::Message& message) {
  if (auto* start = std::get_if<wire::PushStart>(&message)) {
    push_start(std::move(*start));
  } else if (auto* offer = std::get_if<wire::PushOffer>(&message)) {
    push_step([offer = std::move(*offer)](PushIntake& intake) { return intake.offer(offer); });
  } else if (auto* chunks = std::get_if<wire::PushChunks>(&message)) {
    // Shared, since a std::function is copied.
    push_step([chunks = std::make_shared<wire::PushChunks>(std::move(*chunks))](PushIntake& intake) {
      return intake.take(*chunks);
    });
  } else if (auto* end = std::get_if<wire::PushEnd>(&message)) {
    push_step([end = std::move(*end)](PushIntake& intake) { return intake.finish(end); });
  } else {
    return false;
  }
  return true;
}

void Session::push_start(wire::PushStart start) {
  push_over();
  auto place = depot_.push_place();
  if (!place) return answer({Code::busy, fmt::format("this depot takes {} pushes at once; try again later", kMaxPushes)});
  off_loop(depot_.intake, [this, start = std::move(start), place = std::move(place)]() mutable -> std::function<void()> {
    auto intake = PushIntake::start(depot_.store, connection_->peer()->key, start, depot_.push_reserve);
    return [this, intake = std::move(intake), place = std::move(place)]() mutable {
      if (!connection_->is_open()) return;
      if (!intake) return answer(intake.error());
      push_ = Push{*std::move(intake), std::move(place)};
      pushed_ = system_clock().now();
      connection_->allow_bulk();
      connection_->send(wire::PushReady{kMaxOffered});
    };
  });
}

void Session::push_step(std::function<Result<wire::Message>(PushIntake&)> step) {
  if (!push_) return answer({Code::not_found, "no push was begun on this line"});
  pushed_ = system_clock().now();
  off_loop(depot_.intake, [this, intake = push_->intake, step = std::move(step)]() -> std::function<void()> {
    auto said = step(*intake);
    return [this, said = std::move(said)] {
      pushed_ = system_clock().now();
      if (said) return connection_->send(*said);
      // Who sends what is not what it says is not listened to any more; else it may want to hear why there is no room.
      const Code code = said.error().code;
      if (code == Code::content_altered || code == Code::protocol) return refuse(said.error());
      answer(said.error());
    };
  });
}

// What was packed is made durable, which waits for the disk.
void Session::push_over() {
  if (!push_) return;
  depot_.intake.run([push = std::exchange(push_, std::nullopt)]() mutable -> std::function<void()> {
    push->intake->end();
    return [] {};
  });
}

}  // namespace stampede::service
