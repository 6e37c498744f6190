// Raw images to package, as files.
#pragma once

#include <fcntl.h>

#include "chunker/package.h"
#include "src/base/file.h"
#include "tests/chunker/scratch.h"

namespace stampede::testing {

struct Piece {
  std::uint64_t at = 0;
  Bytes bytes;
};

// A sparse file of `size` bytes that holds the pieces.
inline void write_image(const std::filesystem::path& path, Size size, const std::vector<Piece>& pieces) {
  auto file = File::open(path, O_RDWR | O_CREAT | O_TRUNC);
  ASSERT_DONE(file);
  ASSERT_DONE(file->truncate(size));
  for (const Piece& piece : pieces) ASSERT_DONE(file->write_at({piece.at}, piece.bytes));
}

// What a file system leaves on a disk: runs of data of all lengths in blocks of 4 KiB, zero blocks that are stored, holes,
// and blocks that occur more than once.
inline std::vector<Piece> filesystem_like(std::uint64_t seed, std::uint64_t blocks) {
  SeededRandom random(seed);
  std::vector<Piece> pieces;
  for (std::uint64_t block = 0; block < blocks;) {
    const std::uint64_t length = std::min(blocks - block, 1 + random.below(random.below(4) == 0 ? 200 : 12));
    switch (random.below(6)) {
      case 0:
        break;  // a hole
      case 1:
        pieces.push_back({block * 4096, Bytes(length * 4096)});
        break;
      case 2:
        pieces.push_back({block * 4096, texty_bytes(random.below(3), length * 4096)});
        break;  // seen before
      case 3:
        pieces.push_back({block * 4096, random_bytes(random.number(), length * 4096)});
        break;
      default:
        pieces.push_back({block * 4096, texty_bytes(random.number(), length * 4096)});
        break;
    }
    block += length;
  }
  return pieces;
}

inline bool same_content(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto left = read_file(a, 4_GiB);
  const auto right = read_file(b, 4_GiB);
  return left && right && *left == *right;
}

}  // namespace stampede::testing
