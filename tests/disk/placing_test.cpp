#include "src/disk/placing.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "chunker/digest.h"
#include "src/base/aligned.h"

namespace stampede::disk {
namespace {

constexpr Size kDisk = 8_MiB, kImage = 8_MiB;
constexpr std::uint32_t kAlignment = 4096;

// Chunks that lie one after another in a slab, as a span's do.
class Placing : public testing::Test {
 protected:
  chunker::VerifiedChunk chunk(std::size_t size) {
    const MutableBytes bytes = slab_.bytes().subspan(used_, size);
    used_ += size;
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random_());
    return digester_.name(bytes);
  }
  void place(const chunker::VerifiedChunk& what, Offset at) {
    placements_.push_back({what, at});
    std::ranges::copy(what.bytes(), expected_.begin() + static_cast<std::ptrdiff_t>(at.bytes));
  }
  Plan planned() {
    auto plan = plan_placements({kDisk, kAlignment, slab_.bytes()}, placements_, region_);
    EXPECT_TRUE(plan);
    return *std::move(plan);
  }

  void put(Offset at, ByteView bytes, std::size_t writer) {
    std::ranges::copy(bytes, disk_.begin() + static_cast<std::ptrdiff_t>(at.bytes));
    for (std::uint64_t block = at.bytes / kAlignment; block * kAlignment < at.bytes + bytes.size(); ++block) {
      const auto [had, first] = writers_.emplace(block, writer);
      EXPECT_TRUE(first || had->second == writer) << "block " << block << " is written twice";
    }
  }
  // What the disk holds after the plan, which must be fit for O_DIRECT and not write a block twice but by copies.
  void carry_out(const Plan& plan) {
    std::size_t writer = 0;
    const auto aligned = [&](Offset at, std::size_t size) {
      EXPECT_EQ(at.bytes % kAlignment, 0U);
      EXPECT_EQ(size % kAlignment, 0U);
      EXPECT_GT(size, 0U);
    };
    for (const PlannedWrite& write : plan.writes) {
      aligned(write.at, write.bytes.size());
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(write.bytes.data()) % kAlignment, 0U);
      put(write.at, write.bytes, ++writer);
    }
    for (const PlannedGather& gather : plan.gathered) {
      aligned(gather.at, gather.length.bytes);
      EXPECT_LE(gather.length, kSlab);
      ++writer;
      Offset next = gather.at;
      for (const PlannedCopy& part : gather.parts) {
        EXPECT_EQ(part.at, next);
        next = part.at + Size{part.bytes.size()};
        put(part.at, part.bytes, writer);
      }
      EXPECT_EQ(next, gather.at + gather.length);
    }
    for (const PlannedCopy& copy : plan.copied) put(copy.at, copy.bytes, 0);
    for (const Patch& held : region_.slice({}, {kDisk.bytes}))
      std::ranges::copy(held.bytes, disk_.begin() + static_cast<std::ptrdiff_t>(held.at.bytes));
    EXPECT_EQ(disk_, expected_);
  }

  std::mt19937 random_{7};
  AlignedMemory slab_{kSlab.bytes};
  std::size_t used_ = 0;
  chunker::Digester digester_;
  CommitRegion region_{kDisk, kImage};
  std::vector<Placement> placements_;
  Bytes expected_ = Bytes(kDisk.bytes), disk_ = Bytes(kDisk.bytes);
  std::map<std::uint64_t, std::size_t> writers_;  // of each block; 0: copies
};

TEST_F(Placing, NeighboursAreOneWrite) {
  for (Offset at{2_MiB .bytes}; at < Offset{2_MiB .bytes + 160 * 1024}; at += 32_KiB) place(chunk(32 << 10), at);
  const Plan plan = planned();
  ASSERT_EQ(plan.writes.size(), 1U);
  EXPECT_EQ(plan.writes[0].bytes.size(), 160U << 10);
  EXPECT_TRUE(plan.gathered.empty());
  EXPECT_TRUE(plan.copied.empty());
  carry_out(plan);
}

// A file of a FAT that begins between two blocks: only its ends are copied, however many chunks it is cut into.
TEST_F(Placing, WhatLiesBetweenBlocksIsGathered) {
  Offset at{2_MiB .bytes + 1536};
  for (int i = 0; i < 5; ++i) {
    const auto piece = chunk(i == 4 ? 70144 : 65536);
    place(piece, at);
    at += Size{piece.bytes().size()};
  }
  const Plan plan = planned();
  EXPECT_TRUE(plan.writes.empty());
  ASSERT_EQ(plan.gathered.size(), 1U);
  EXPECT_EQ(plan.copied.size(), 2U);
  carry_out(plan);
}

// The same on the grid beside it, whose bytes lie between blocks in memory.
TEST_F(Placing, WhatLiesBetweenBlocksInMemoryIsGathered) {
  place(chunk(1536), {2_MiB .bytes});
  place(chunk(65536), {4_MiB .bytes});
  const Plan plan = planned();
  ASSERT_EQ(plan.gathered.size(), 1U);
  EXPECT_EQ(plan.gathered[0].at, (Offset{4_MiB .bytes}));
  EXPECT_EQ(plan.copied.size(), 1U);
  carry_out(plan);
}

TEST_F(Placing, ARepeatLongerThanASlab) {
  const auto piece = chunk(65024);
  for (int i = 0; i < 40; ++i) place(piece, {2_MiB .bytes + 512 + static_cast<std::uint64_t>(i) * 65024});
  const Plan plan = planned();
  EXPECT_EQ(plan.gathered.size(), 3U);
  carry_out(plan);
}

TEST_F(Placing, AnyWay) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    random_.seed(seed);
    used_ = 0;
    placements_.clear();
    writers_.clear();
    std::ranges::fill(expected_, std::byte{0});
    std::ranges::fill(disk_, std::byte{0});
    region_.zero({{}, kDisk});
    // Some of the disk's sectors in order, some left out, from chunks that are new or repeated, on the grid or not.
    std::vector<chunker::VerifiedChunk> chunks;
    for (Offset at{random_() % 64 * 512}; at < Offset{kDisk.bytes - 65536};) {
      const std::size_t size = random_() % 3 == 0 ? (1 + random_() % 16) * 4096 : (1 + random_() % 128) * 512;
      if (used_ + size <= kSlab.bytes && (chunks.empty() || random_() % 3 > 0))
        chunks.push_back(chunk(size));
      else if (chunks.empty())
        break;
      const auto& one = random_() % 2 == 0 ? chunks.back() : chunks[random_() % chunks.size()];
      place(one, at);
      at += Size{one.bytes().size()};
      if (random_() % 4 == 0) at = Offset{round_up(at.bytes, 4096)};
      if (random_() % 8 == 0) at += Size{random_() % 512 * 512};
    }
    carry_out(planned());
  }
}

TEST_F(Placing, BeyondTheEnd) {
  placements_.push_back({chunk(4096), {kDisk.bytes - 512}});
  EXPECT_EQ(plan_placements({kDisk, kAlignment, slab_.bytes()}, placements_, region_).error().code, Code::internal);
}

}  // namespace
}  // namespace stampede::disk
