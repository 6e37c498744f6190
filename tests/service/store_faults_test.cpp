// A disk that is full, or fails, at the n-th write of what is done to a store: each operation ends well or with a clear
// error, and when the disk is sound again the same store takes them all, and nothing is altered.
//
//   STAMPEDE_FAULTS=300 test_store_faults     each of the first 300 (a sample of them, chosen by STAMPEDE_SEED)
//
// What the store, SQLite in it too, asks of the kernel goes through this program's own calls and on to the C library's.
#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <functional>
#include <iostream>

#include "chunker/package.h"
#include "src/service/library.h"
#include "src/service/packaging.h"
#include "src/service/site.h"
#include "src/service/store_check.h"
#include "tests/chunker/images.h"

namespace {

enum class Fault : std::uint8_t { none, full, one_error, errors };

// Set while no other thread runs.
std::string watched;
Fault fault = Fault::none;
std::uint64_t first = 0;  // the number of the call that fails, from 0
std::atomic<std::uint64_t> calls = 0;
std::atomic<std::uint64_t> failed = 0;

// What errno the call is to fail with; 0: it goes on. A full disk can still be flushed.
int error_of(std::string_view path, bool takes_space) {
  if (watched.empty() || !path.starts_with(watched)) return 0;
  const std::uint64_t call = calls++;
  const bool fails = fault == Fault::one_error ? call == first : fault != Fault::none && call >= first;
  if (!fails || (fault == Fault::full && !takes_space)) return 0;
  ++failed;
  return fault == Fault::full ? ENOSPC : EIO;
}

std::string path_of(int fd) {
  std::string path(4096, '\0');
  const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
  path.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return path;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool fails(int error) {
  if (error != 0) errno = error;
  return error != 0;
}

}  // namespace

extern "C" ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  if (!watched.empty() && fails(error_of(path_of(fd), true))) return -1;
  return next<ssize_t(int, const void*, size_t, off_t)>("pwrite64")(fd, data, size, at);
}
extern "C" ssize_t write(int fd, const void* data, size_t size) {
  if (!watched.empty() && fails(error_of(path_of(fd), true))) return -1;
  return next<ssize_t(int, const void*, size_t)>("write")(fd, data, size);
}
extern "C" int ftruncate(int fd, off_t size) noexcept {
  if (!watched.empty() && fails(error_of(path_of(fd), true))) return -1;
  return next<int(int, off_t)>("ftruncate64")(fd, size);
}
extern "C" int fdatasync(int fd) {
  if (!watched.empty() && fails(error_of(path_of(fd), false))) return -1;
  return next<int(int)>("fdatasync")(fd);
}
extern "C" int fsync(int fd) {
  if (!watched.empty() && fails(error_of(path_of(fd), false))) return -1;
  return next<int(int)>("fsync")(fd);
}
extern "C" int rename(const char* from, const char* to) noexcept {
  if (fails(error_of(to, true))) return -1;
  return next<int(const char*, const char*)>("rename")(from, to);
}
extern "C" int link(const char* from, const char* to) noexcept {
  if (fails(error_of(to, true))) return -1;
  return next<int(const char*, const char*)>("link")(from, to);
}
extern "C" int mkdir(const char* path, mode_t mode) noexcept {
  if (struct stat status{}; ::stat(path, &status) != 0 && fails(error_of(path, true))) return -1;
  return next<int(const char*, mode_t)>("mkdir")(path, mode);
}
extern "C" int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if ((flags & O_CREAT) != 0 && fails(error_of(path, true))) return -1;
  return next<int(const char*, int, ...)>("open64")(path, flags, mode);
}

namespace stampede::service {
namespace {

using Step = std::function<Result<>()>;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = ::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// The images that all stores of this test get.
class Images {
 public:
  static constexpr std::uint64_t kCount = 14;
  Images() {
    for (std::uint64_t i = 0; i < kCount; ++i)
      testing::write_image(file(i), {64 * 4096},
                           {{0, testing::texty_bytes(1, 12 * 4096)}, {20 * 4096, testing::random_bytes(i, 4 * 4096)}});
  }
  std::filesystem::path file(std::uint64_t i) const { return folder_.path() / std::to_string(i); }

 private:
  Scratch folder_;
};

// A new store to be made and filled, step by step.
class Work {
 public:
  explicit Work(const Images& images) : images_(images) {
    steps_.push_back([this] { return open(); });
    for (std::uint64_t i = 0; i < Images::kCount; ++i) steps_.push_back([this, i] { return import(i); });
    steps_.push_back([this]() -> Result<> {
      // A token names a signer, whom perhaps no import has made.
      STAMPEDE_TRY([[maybe_unused]] const auto key, open_signing_key(store_->folder()));
      STAMPEDE_TRY([[maybe_unused]] const auto token,
                   create_token(*store_, system_clock(), system_random(), std::chrono::seconds(60), 1));
      return {};
    });
  }

  std::string folder() const { return folder_.path().string(); }

  // Those steps that did not end well before; returns what they failed with.
  std::vector<Error> run() {
    std::vector<Error> errors;
    for (Step& step : steps_) {
      if (!step || (!store_ && &step != &steps_.front())) continue;
      if (const auto done = step(); done)
        step = nullptr;
      else
        errors.push_back(done.error());
    }
    return errors;
  }

  void expect_sound() {
    store_.reset();
    const auto opened = open();
    ASSERT_TRUE(opened) << opened.error().message;
    const auto report = check_store(*store_, {});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->sound()) << report->lines().front();
    EXPECT_EQ(report->images.size(), Images::kCount);
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "store/packs"))
      EXPECT_EQ(entry.path().extension(), ".pack");
    for (std::uint64_t i = 0; i < Images::kCount; ++i) EXPECT_TRUE(comes_out(i)) << i;
  }

 private:
  static chunker::ImageName name(std::uint64_t i) { return {"image", std::to_string(i)}; }
  Result<> open() {
    STAMPEDE_TRY(store_, cache::Store::open(folder_.path() / "store", system_clock()));
    return {};
  }
  Result<> import(std::uint64_t i) {
    STAMPEDE_TRY([[maybe_unused]] const auto imported, import_image(*store_, images_.file(i), name(i), {}));
    return {};
  }
  bool comes_out(std::uint64_t i) {
    const auto image = find_image(*store_, name(i));
    if (!image) return false;
    const auto manifest = chunker::load_manifest(store_->chunks(), image->record.image);
    const auto out = folder_.path() / "out";
    if (!manifest || !chunker::export_image(*manifest, store_->chunks(), out, {})) return false;
    const bool same = testing::same_content(images_.file(i), out);
    std::filesystem::remove(out);
    return same;
  }

  const Images& images_;
  Scratch folder_{std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path()};
  std::unique_ptr<cache::Store> store_;
  std::vector<Step> steps_;
};

class StoreFaults : public ::testing::TestWithParam<Fault> {
 protected:
  // Runs what is left of the work with a fault at call n; how many calls failed.
  static std::uint64_t with_fault(Work& work, std::uint64_t n, std::vector<Error>& errors) {
    watched = work.folder();
    fault = GetParam();
    first = n;
    calls = failed = 0;
    errors = work.run();
    fault = Fault::none;
    watched.clear();
    return failed;
  }
  static void expect_clear(const Error& error) {
    const bool codes = error.code == Code::no_space || error.code == Code::write_failed || error.code == Code::flush_failed;
    EXPECT_TRUE(codes) << name_of(error.code) << ": " << error.message;
    bool said = false;
    for (const char* text :
         {"No space left on device", "Input/output error", "disk I/O error", "disk is full", "is the disk full or failing"})
      said |= error.message.contains(text);
    EXPECT_TRUE(said) << error.message;
  }
  Images images_;
};

TEST_P(StoreFaults, AtAnyWriteHarmNothing) {
  std::uint64_t total = 0;
  {
    Work work(images_);
    std::vector<Error> errors;
    watched = work.folder();
    calls = 0;
    errors = work.run();
    watched.clear();
    total = calls;
    ASSERT_TRUE(errors.empty()) << errors.front().message;
    ASSERT_NO_FATAL_FAILURE(work.expect_sound());
  }
  ASSERT_GE(total, 300U);
  const std::uint64_t wanted = from_environment("STAMPEDE_FAULTS", 16);
  const std::uint64_t seed = from_environment("STAMPEDE_SEED", system_random().number() % 1'000'000);
  std::cout << total << " calls; STAMPEDE_SEED=" << seed << "\n";
  SeededRandom random(seed);
  std::uint64_t refused = 0;
  for (std::uint64_t i = 0; i < wanted; ++i) {
    const std::uint64_t n = wanted >= 300 ? i : random.below(300);
    SCOPED_TRACE(fmt::format("call {}", n));
    Work work(images_);
    std::vector<Error> errors;
    EXPECT_GT(with_fault(work, n, errors), 0U);
    for (const Error& error : errors) expect_clear(error);
    refused += !errors.empty();
    for (const Error& error : work.run()) ADD_FAILURE() << "with a sound disk: " << error.message;
    ASSERT_NO_FATAL_FAILURE(work.expect_sound());
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, wanted / 2);
}

std::string name_of_kind(const ::testing::TestParamInfo<Fault>& kind) {
  return kind.param == Fault::full ? "IsFull" : kind.param == Fault::one_error ? "FailsOnce" : "Fails";
}
INSTANTIATE_TEST_SUITE_P(Disk, StoreFaults, ::testing::Values(Fault::full, Fault::one_error, Fault::errors), name_of_kind);

}  // namespace
}  // namespace stampede::service
