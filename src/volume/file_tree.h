// An ext2/3/4 file system as a tree that is walked node by node, down to where on the disk each file's content lies: for
// comparing two of them. Reads only, an unclean one too. Not thread-safe. The bytes may be hostile: what is read of one node
// is bounded, and whoever walks counts the folders.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/units.h"
#include "src/volume/block_access.h"

namespace stampede::volume {

class FileSystem;

using NodeNumber = std::uint32_t;  // an inode's

// What a node says of itself, but for its times.
struct Node {
  enum class Kind : std::uint8_t { file, folder, link, other };
  Kind kind = Kind::other;
  std::uint16_t mode = 0;  // permissions, and which kind of "other"
  std::uint32_t user = 0, group = 0;
  Size size;                                // of a file
  bool is_inline = false;                   // a file whose content is in the inode
  std::string target;                       // of a link
  std::uint32_t device = 0;                 // of a device
  std::map<std::string, Bytes> attributes;  // extended
};

struct Child {
  std::string name;
  NodeNumber node = 0;
};

// What no extent of a file covers reads as zeros.
struct FileExtent {
  Offset at;    // in the file
  Offset disk;  // on the disk
  Size length;
};

class FileTree {
 public:
  static constexpr NodeNumber kRoot = 2;

  // `blocks` outlives it.
  static Result<FileTree> open(BlockAccess& blocks, Offset offset);
  FileTree(FileTree&&) noexcept;
  FileTree& operator=(FileTree&&) noexcept;
  ~FileTree();

  // Errors of all of these: read_failed.
  Result<std::vector<Child>> children(NodeNumber folder);  // by name
  Result<Node> node(NodeNumber number);
  // Of a file that is not inline: in order, apart from each other; kMostExtents at most.
  Result<std::vector<FileExtent>> extents(NodeNumber file);
  Result<Bytes> content(NodeNumber file, Size limit);

 private:
  explicit FileTree(std::unique_ptr<FileSystem> files);
  std::unique_ptr<FileSystem> files_;
};

inline constexpr std::size_t kMostExtents = std::size_t{1} << 20;

}  // namespace stampede::volume
