#include "src/volume/file_tree.h"

#include <algorithm>

#include "src/volume/file_system.h"

namespace stampede::volume {

FileTree::FileTree(std::unique_ptr<FileSystem> files) : files_(std::move(files)) {}
FileTree::FileTree(FileTree&&) noexcept = default;
FileTree& FileTree::operator=(FileTree&&) noexcept = default;
FileTree::~FileTree() = default;

Result<FileTree> FileTree::open(BlockAccess& blocks, Offset offset) {
  STAMPEDE_TRY(auto files, FileSystem::open(blocks, offset, FileSystem::Use::look));
  return FileTree(std::move(files));
}

Result<std::vector<Child>> FileTree::children(NodeNumber folder) {
  files_->begin();
  STAMPEDE_TRY(auto out, files_->children(folder));
  std::ranges::sort(out, {}, &Child::name);
  return out;
}

Result<Node> FileTree::node(NodeNumber number) {
  files_->begin();
  return files_->node(number);
}

Result<std::vector<FileExtent>> FileTree::extents(NodeNumber file) {
  files_->begin();
  STAMPEDE_TRY(auto out, files_->extents(file));
  // A damaged map may say anything.
  for (std::size_t i = 1; i < out.size(); ++i)
    if (out[i].at < out[i - 1].at + out[i - 1].length)
      return fail(Code::read_failed, "the file system is damaged: the map of inode {} is in disorder", file);
  return out;
}

Result<Bytes> FileTree::content(NodeNumber file, Size limit) {
  files_->begin();
  return files_->content(file, limit);
}

}  // namespace stampede::volume
