#include "src/base/lazy_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stampede {
namespace {

using ::testing::HasSubstr;

struct Mathematics : LazyLibrary {
  explicit Mathematics(const char* soname, const char* name = "cbrt")
      : LazyLibrary(soname, "libc6"), cube_root(function(name)) {}
  double (*cube_root)(double);
};

TEST(LazyLibrary, CallsWhatItFound) {
  const Mathematics mathematics("libm.so.6");
  ASSERT_TRUE(mathematics.usable());
  EXPECT_DOUBLE_EQ(mathematics.cube_root(27), 3);
}

TEST(LazyLibrary, SaysWhatIsMissingAndWhatToInstall) {
  const Mathematics none("libstampede-there-is-none.so.1");
  ASSERT_FALSE(none.usable());
  EXPECT_EQ(none.usable().error().code, Code::usage);
  EXPECT_THAT(none.usable().error().message, HasSubstr("libstampede-there-is-none.so.1"));
  EXPECT_THAT(none.usable().error().message, HasSubstr("install Debian's package libc6"));
  EXPECT_EQ(none.cube_root, nullptr);
}

TEST(LazyLibrary, IsNotUsableWithoutOneOfItsFunctions) {
  const Mathematics older("libm.so.6", "stampede_there_is_none");
  ASSERT_FALSE(older.usable());
  EXPECT_THAT(older.usable().error().message, HasSubstr("stampede_there_is_none"));
}

}  // namespace
}  // namespace stampede
