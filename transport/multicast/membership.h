// Who takes part and what each lacks. Private to this room.
//
// A member counts while it is heard of and does not trail; only what those lack is worth sending. Memory: a bit for each
// member and span, 4 bytes and a bit for each span.
#pragma once

#include <map>
#include <vector>

#include "src/base/bitmap.h"
#include "src/base/seams.h"
#include "transport/multicast/carousel.h"

namespace stampede::multicast {

struct Membership {
  struct Member {
    Bitmap settled;           // held, or not to be had by multicast
    std::uint64_t since = 0;  // the stream's sequence number when it joined
    Instant heard;
    double loss = 0;
    std::uint64_t caused = 0;                  // repair symbols that were sent because of it
    std::size_t told = 0;                      // of the withdrawn spans
    std::vector<std::uint32_t> left_to_peers;  // and not told yet
    bool deaf = false;                         // the stream does not reach it
    bool silent = false;
    bool trailing = false;
    bool counts() const { return !silent && !trailing; }
  };

  explicit Membership(std::uint32_t spans) : lacking_(spans), lacked_(spans) {}

  void join(MemberId id, Bitmap have, std::uint64_t sequence, Instant now, std::vector<std::uint32_t> elsewhere = {});
  void leave(MemberId id);
  Member* find(MemberId id);
  std::size_t size() const { return members_.size(); }
  std::uint32_t trailing() const;
  // Members that lack something.
  std::size_t unfinished() const;
  // Who loses more trails; as of the last review.
  double bearable() const { return bearable_; }

  void settle(Member& member, std::uint32_t span);
  // It spoke: it is not silent any more.
  void heard(Member& member, Instant now);
  // Who is silent and who trails now, at this number of the stream.
  void review(const Limits& limits, std::uint64_t sequence, Duration silence, Instant now);

  bool is_lacked(std::uint32_t span) const { return lacked_.test(span); }
  const Bitmap& lacked() const { return lacked_; }
  // Nobody lacks it from now on: it cannot be had.
  void withdraw(std::uint32_t span);
  const std::vector<std::uint32_t>& withdrawn() const { return withdrawn_; }
  // Only a few of those that count lack it: the others can give it to them.
  bool few_lack(std::uint32_t span, const Limits& limits) const;
  // Those that lack it and count get it by unicast, and are told so when they report.
  void leave_to_peers(std::uint32_t span);
  // Of the members that count.
  std::vector<double> losses() const;

 private:
  void count(const Member& member, bool add);
  void set(Member& member, bool silent, bool trailing);
  void add(std::uint32_t span);
  void remove(std::uint32_t span);

  std::map<MemberId, Member> members_;
  std::vector<std::uint32_t> lacking_;  // members that do, by span
  Bitmap lacked_;
  std::size_t counting_ = 0;  // members that count
  double bearable_ = 0;
  std::vector<std::uint32_t> withdrawn_;
};

}  // namespace stampede::multicast
