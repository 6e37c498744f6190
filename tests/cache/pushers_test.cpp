// Who may push: keys that used a token which grants it.
#include "cache/catalog.h"
#include "tests/cache/store_fixture.h"

namespace stampede::cache {
namespace {

using namespace stampede::testing;

TEST(Pushers, AreThoseWhoUsedATokenThatGrantsIt) {
  const Scratch scratch;
  SetClock clock;
  const auto open = [&] { return *Catalog::open(scratch / "catalog.sqlite", clock); };
  const Hash32 plain = id_of(1).digest, push = id_of(2).digest;
  const KeyBytes one = id_of(3).digest, two = id_of(4).digest;
  {
    const auto catalog = open();
    ASSERT_DONE(catalog->add_token(plain, clock.unix_time() + 60, 5));
    ASSERT_DONE(catalog->add_token(push, clock.unix_time() + 60, 1, {.push = true}));
    ASSERT_DONE(catalog->redeem(plain, one));
    EXPECT_FALSE(*catalog->may_push(one));
    // Enrolled already: the other token grants what it grants all the same, once.
    ASSERT_DONE(catalog->redeem(push, one));
    EXPECT_EQ(catalog->redeem(push, two).error().code, Code::token_used);
    EXPECT_DONE(catalog->redeem(push, one));
  }
  const auto catalog = open();
  EXPECT_TRUE(*catalog->may_push(one));
  EXPECT_FALSE(*catalog->may_push(two));
}

}  // namespace
}  // namespace stampede::cache
