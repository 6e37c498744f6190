// Every operation on the disk may fail, be interrupted or move less than it should: a deployment then ends whole, or in an
// error that names disk and byte, and the next run comes through.
#include "src/disk/faults.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "src/disk/target.h"
#include "tests/disk/sample_image.h"
#include "tests/disk/scratch.h"

namespace stampede::disk {
namespace {

using Kind = Operation::Kind;

constexpr std::uint64_t kMiB = 1024 * 1024;

// Remembers the operations, and asks `plan` for a fault with each one's number among those of its kind.
class Script {
 public:
  using Plan = std::function<Fault(Kind kind, std::size_t number)>;
  explicit Script(Plan plan = {}) : plan_(std::move(plan)) {}
  Faults faults() {
    return [this](const Operation& operation) {
      const std::scoped_lock lock(mutex_);
      const std::size_t number = of_kind(operation.kind).size();
      operations_.push_back(operation);
      const Fault fault = plan_ ? plan_(operation.kind, number) : Fault{};
      if (fault.error != 0) failed_ = operation;
      return fault;
    };
  }
  std::vector<Operation> of_kind(Kind kind) const {
    std::vector<Operation> out;
    std::ranges::copy_if(operations_, std::back_inserter(out), [&](const Operation& one) { return one.kind == kind; });
    return out;
  }
  const std::optional<Operation>& failed() const { return failed_; }  // the last that did
  std::size_t count() const { return operations_.size(); }

 private:
  const Plan plan_;
  std::mutex mutex_;
  std::vector<Operation> operations_;
  std::optional<Operation> failed_;
};

class FaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    image_ = make_image(random_, {5 * kMiB + 4096});
    before_ = random_bytes(random_, kSize.bytes);
    reset();
    Script script;
    ASSERT_TRUE(deploy(script));
    wanted_ = content_of(path_);
    for (const Kind kind : {Kind::read, Kind::write, Kind::zero, Kind::discard, Kind::flush})
      counts_[static_cast<std::size_t>(kind)] = script.of_kind(kind).size();
  }
  void reset() { put(path_, before_); }
  std::size_t count(Kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }

  Result<> deploy(Script& script) {
    STAMPEDE_TRY(const auto target, Target::open(guarded_file(path_, kSize), image_.size(),
                                                 {.slabs = 3, .depth = 3, .hash_threads = 2, .faults = script.faults()}));
    STAMPEDE_CHECK(target->begin(sample_record(kSize)));
    STAMPEDE_CHECK(transfer(*target, image_));
    Waiter waiter;
    target->discard({image_.size().bytes}, kSize - image_.size(), waiter.expect_one());
    STAMPEDE_CHECK(waiter.wait());
    STAMPEDE_CHECK(target->flush());
    STAMPEDE_TRY(const auto right, target->compare(image_.expected(), {}));
    if (std::ranges::count(right, false) != 0) return fail(Code::readback_mismatch, "not what was written");
    return target->commit();
  }

  // The operation with that number fails: so does the deployment, in these words, and the one after it does not.
  void expect_failure(Kind kind, std::size_t number, int error, Code code) {
    SCOPED_TRACE(fmt::format("{} of kind {}: {}", number, static_cast<int>(kind), errno_text(error)));
    reset();
    Script script([&](Kind at, std::size_t n) { return Fault{.error = at == kind && n == number ? error : 0}; });
    const auto result = deploy(script);
    ASSERT_FALSE(result);
    ASSERT_TRUE(script.failed());
    EXPECT_EQ(result.error().code, code) << result.error().message;
    const std::string& message = result.error().message;
    EXPECT_NE(message.find(path_.string()), std::string::npos) << message;
    EXPECT_NE(message.find(errno_text(error)), std::string::npos) << message;
    if (kind != Kind::flush)
      EXPECT_NE(message.find(fmt::format("at byte {}:", script.failed()->at)), std::string::npos) << message;
    Script none;
    ASSERT_TRUE(deploy(none));
    EXPECT_EQ(content_of(path_), wanted_);
  }
  // The first, the last and some between.
  void expect_failures(Kind kind, int error, Code code) {
    const std::size_t all = count(kind);
    ASSERT_GT(all, 0U);
    expect_failure(kind, 0, error, code);
    for (int i = 0; i < 6; ++i) expect_failure(kind, random_.below(all), error, code);
    expect_failure(kind, all - 1, error, code);
  }

  static constexpr Size kSize{6 * kMiB};
  const Scratch folder_;
  const std::filesystem::path path_ = folder_.path() / "disk";
  SeededRandom random_{41};
  SampleImage image_;
  Bytes before_, wanted_;
  std::array<std::size_t, 5> counts_{};
};

TEST_F(FaultsTest, AWriteThatFails) {
  expect_failures(Kind::write, EIO, Code::write_failed);
  expect_failures(Kind::write, ENOSPC, Code::no_space);
}
TEST_F(FaultsTest, AReadThatFails) { expect_failures(Kind::read, EIO, Code::read_failed); }
TEST_F(FaultsTest, ZeroingThatFails) { expect_failures(Kind::zero, EIO, Code::write_failed); }
TEST_F(FaultsTest, DiscardingThatFails) { expect_failures(Kind::discard, EIO, Code::write_failed); }
TEST_F(FaultsTest, AnyFlushThatFails) {
  for (std::size_t i = 0; i < count(Kind::flush); ++i) expect_failure(Kind::flush, i, EIO, Code::flush_failed);
}

// A device without them is written all the same.
TEST_F(FaultsTest, CallsThatTheDiskDoesNotHave) {
  reset();
  Script script(
      [](Kind kind, std::size_t) { return Fault{.error = kind == Kind::zero || kind == Kind::discard ? EOPNOTSUPP : 0}; });
  ASSERT_TRUE(deploy(script));
  // What was to be discarded is still there: between the image's end and the commit region at the disk's.
  const auto at = [](Bytes& bytes, std::uint64_t offset) { return bytes.begin() + static_cast<long>(offset); };
  std::copy(at(before_, image_.size().bytes), at(before_, kSize.bytes - kCommitTail.bytes),
            at(wanted_, image_.size().bytes));
  EXPECT_EQ(content_of(path_), wanted_);
}

TEST_F(FaultsTest, EveryNthIsInterrupted) {
  for (std::size_t n = 2;; n = n * 3 / 2) {
    reset();
    std::size_t asked = 0;
    Script script([&](Kind, std::size_t) { return Fault{.error = ++asked % n == 0 ? EINTR : 0}; });
    const auto result = deploy(script);
    ASSERT_TRUE(result) << n << ": " << result.error().message;
    ASSERT_EQ(content_of(path_), wanted_) << n;
    if (!script.failed()) break;
  }
}

TEST_F(FaultsTest, EveryNthIsShort) {
  for (std::size_t n = 1;; n = n < 4 ? n + 1 : n * 3 / 2) {
    reset();
    std::size_t asked = 0;
    bool cut = false;
    Script script([&](Kind, std::size_t) {
      if (++asked % n != 0) return Fault{};
      cut = true;
      return Fault{.most = 4096 * (1 + asked % 3)};
    });
    const auto result = deploy(script);
    ASSERT_TRUE(result) << n << ": " << result.error().message;
    ASSERT_EQ(content_of(path_), wanted_) << n;
    if (!cut) break;
  }
}

TEST_F(FaultsTest, ADiskThatMovesNothingIsFull) {
  reset();
  Script script(
      [](Kind kind, std::size_t number) { return kind == Kind::write && number == 3 ? Fault{.most = 0} : Fault{}; });
  const auto result = deploy(script);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::no_space) << result.error().message;
}

}  // namespace
}  // namespace stampede::disk
