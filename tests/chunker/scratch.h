// What the tests of chunker and cache share: a fresh folder that is removed, and seeded bytes.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "chunker/digest.h"
#include "src/base/seams.h"
#include "tests/scratch.h"

namespace stampede::testing {

using stampede::Scratch;

inline Bytes random_bytes(std::uint64_t seed, std::size_t size) {
  Bytes bytes(size);
  SeededRandom(seed).fill(bytes);
  return bytes;
}

// Bytes that zstd can make about half as long.
inline Bytes texty_bytes(std::uint64_t seed, std::size_t size) {
  Bytes bytes = random_bytes(seed, size);
  for (std::byte& b : bytes) b &= std::byte{0x0f};
  return bytes;
}

inline chunker::ChunkId id_of(std::uint64_t number) { return {chunker::sha256(std::as_bytes(std::span(&number, 1)))}; }

template <class T>
::testing::AssertionResult succeeded(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << name_of(result.error().code) << ": " << result.error().message;
}

template <class T>
Code code_of(const Result<T>& result) {
  return result ? Code{} : result.error().code;
}

}  // namespace stampede::testing

#define ASSERT_DONE(...) ASSERT_TRUE(::stampede::testing::succeeded(__VA_ARGS__))
#define EXPECT_DONE(...) EXPECT_TRUE(::stampede::testing::succeeded(__VA_ARGS__))
#define EXPECT_CODE(code, ...) EXPECT_EQ(::stampede::testing::code_of(__VA_ARGS__), code)
