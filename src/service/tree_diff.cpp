#include "src/service/tree_diff.h"

#include <algorithm>
#include <optional>
#include <set>

#include "src/base/text.h"
#include "src/volume/file_tree.h"

namespace stampede::service {

namespace {

using volume::FileTree;
using volume::Node;
using volume::NodeNumber;

constexpr std::uint64_t kBlock = chunker::kBlock.bytes;
constexpr Size kMostRead = 256_KiB;   // at once
constexpr Size kMostInline = 64_KiB;  // as large as an inode's block can be
constexpr std::size_t kDeepest = 4096;
constexpr std::uint64_t kMostTimes = 8;  // that a disk is read: files have several names, but not many

// One of the two sides.
struct Side {
  FileTree tree;
  chunker::ImageBlocks& blocks;
  std::set<NodeNumber> folders;  // that were walked: a folder has one name
};

// Where a file's bytes are, asked for in ascending order.
class Content {
 public:
  static Result<Content> open(Side& side, NodeNumber number, const Node& node) {
    Content out(side.blocks, node.size);
    if (node.is_inline) {
      STAMPEDE_TRY(out.inside_, side.tree.content(number, kMostInline));
    } else {
      STAMPEDE_TRY(out.extents_, side.tree.extents(number));
    }
    return out;
  }

  // For `left` bytes from there on one chunk, or zeros, or what can only be read.
  struct Part {
    const chunker::ChunkId* chunk = nullptr;
    bool is_zero = false;
    Size within, left;
  };
  Part at(Offset offset) {
    const Size rest = Offset{size_.bytes} - offset;
    if (inside_) return {nullptr, false, {}, rest};
    const volume::FileExtent* extent = covering(offset);
    if (extent == nullptr) return {nullptr, true, {}, rest};
    if (offset < extent->at) return {nullptr, true, {}, std::min(rest, extent->at - offset)};
    const Offset disk = extent->disk + (offset - extent->at);
    Size left = std::min(rest, extent->at + extent->length - offset);
    // What a damaged file system puts beyond its disk can only fail to be read.
    if (disk.bytes >= blocks_->size().bytes) return {nullptr, false, {}, left};
    const auto place = blocks_->place(disk);
    left = std::min(left, place.left);
    return {place.chunk, place.chunk == nullptr, place.within, left};
  }

  // Of one part.
  Result<> read(Offset offset, MutableBytes out) {
    std::ranges::fill(out, std::byte{0});
    if (inside_) {
      if (offset.bytes < inside_->size())
        std::ranges::copy(ByteView(*inside_).subspan(offset.bytes, std::min(out.size(), inside_->size() - offset.bytes)),
                          out.begin());
      return {};
    }
    const volume::FileExtent* extent = covering(offset);
    if (extent == nullptr || offset < extent->at) return {};
    return blocks_->read(extent->disk + (offset - extent->at), out);
  }

 private:
  Content(chunker::ImageBlocks& blocks, Size size) : blocks_(&blocks), size_(size) {}
  // The extent that ends after it; null: none.
  const volume::FileExtent* covering(Offset offset) {
    while (next_ < extents_.size() && extents_[next_].at + extents_[next_].length <= offset) ++next_;
    return next_ < extents_.size() ? &extents_[next_] : nullptr;
  }

  chunker::ImageBlocks* blocks_;
  Size size_;
  std::optional<Bytes> inside_;
  std::vector<volume::FileExtent> extents_;
  std::size_t next_ = 0;
};

class TreeDiff {
 public:
  TreeDiff(Side before, Side after, const TreeDiffOptions& options, const std::function<void(FileChange)>& each)
      : before_(std::move(before)),
        after_(std::move(after)),
        options_(options),
        each_(each),
        may_read_((before_.blocks.size() + after_.blocks.size()) * kMostTimes) {}

  Result<> run() {
    STAMPEDE_CHECK(compare("/", FileTree::kRoot, FileTree::kRoot));
    while (!folders_.empty()) {
      const Pair pair = std::move(folders_.back());
      folders_.pop_back();
      if (auto done = walk(pair); !done) return pass(std::move(done).error(), printable(pair.path));
    }
    return {};
  }

 private:
  // Folders of one name; 0: there is none.
  struct Pair {
    std::string path;
    NodeNumber before = 0, after = 0;
  };

  Result<> check_stopped() const {
    if (options_.interrupted && options_.interrupted()) return fail(Code::interrupted, "interrupted by a signal");
    return {};
  }

  static Result<std::vector<volume::Child>> children(Side& side, NodeNumber folder) {
    if (folder == 0) return std::vector<volume::Child>{};
    if (!side.folders.insert(folder).second)
      return fail(Code::read_failed, "the file system is damaged: a folder is in itself");
    return side.tree.children(folder);
  }

  Result<> walk(const Pair& pair) {
    STAMPEDE_CHECK(check_stopped());
    if (pair.path.size() > kDeepest) return fail(Code::read_failed, "folders lie too deep");
    STAMPEDE_TRY(const auto left, children(before_, pair.before));
    STAMPEDE_TRY(const auto right, children(after_, pair.after));
    const std::size_t waiting = folders_.size();
    auto a = left.begin(), b = right.begin();
    while (a != left.end() || b != right.end()) {
      const bool only_left = b == right.end() || (a != left.end() && a->name < b->name);
      const bool only_right = !only_left && (a == left.end() || b->name < a->name);
      const std::string path = pair.path + (only_right ? b->name : a->name);
      STAMPEDE_CHECK(compare(path, only_right ? 0 : a->node, only_left ? 0 : b->node));
      if (!only_right) ++a;
      if (!only_left) ++b;
    }
    std::reverse(folders_.begin() + static_cast<std::ptrdiff_t>(waiting), folders_.end());  // the first comes next
    return {};
  }

  void tell(FileChange::Kind kind, std::string path, std::vector<std::string> what, Size before, Size after, Size differs) {
    each_({kind, std::move(path), std::move(what), before, after, differs});
  }

  Result<> compare(const std::string& path, NodeNumber before, NodeNumber after) {
    Node left, right;
    if (before != 0) {
      STAMPEDE_TRY(left, before_.tree.node(before));
    }
    if (after != 0) {
      STAMPEDE_TRY(right, after_.tree.node(after));
    }
    const bool left_folder = before != 0 && left.kind == Node::Kind::folder;
    const bool right_folder = after != 0 && right.kind == Node::Kind::folder;
    const std::string name = (left_folder || right_folder) && !path.ends_with('/') ? path + "/" : path;
    if (before == 0)
      tell(FileChange::Kind::added, name, {}, {}, right.size, right.size);
    else if (after == 0)
      tell(FileChange::Kind::removed, name, {}, left.size, {}, left.size);
    else
      STAMPEDE_CHECK(compare_nodes(name, {before, left}, {after, right}));
    if (left_folder || right_folder) folders_.push_back({name, left_folder ? before : 0, right_folder ? after : 0});
    return {};
  }

  struct Numbered {
    NodeNumber number;
    const Node& node;
  };
  Result<> compare_nodes(const std::string& path, Numbered before, Numbered after) {
    const Node &a = before.node, &b = after.node;
    std::vector<std::string> what;
    Size differs;
    if (a.kind != b.kind) {
      what.emplace_back("kind");
      differs = b.size;
    } else if (a.kind == Node::Kind::file) {
      STAMPEDE_TRY(differs, differing(before, after));
      if (a.size != b.size || differs > Size{}) what.emplace_back("content");
    }
    if (a.mode != b.mode && a.kind == b.kind) what.emplace_back("mode");
    if (a.user != b.user || a.group != b.group) what.emplace_back("owner");
    if (a.attributes != b.attributes) what.emplace_back("attributes");
    if (a.target != b.target && a.kind == b.kind) what.emplace_back("target");
    if (a.device != b.device && a.kind == b.kind) what.emplace_back("device");
    if (!what.empty()) tell(FileChange::Kind::changed, path, std::move(what), a.size, b.size, differs);
    return {};
  }

  // In blocks of 4 KiB, and what the longer one has more.
  Result<Size> differing(Numbered before, Numbered after) {
    const Size common = std::min(before.node.size, after.node.size);
    Size out = std::max(before.node.size, after.node.size) - common;
    if (common == Size{}) return out;
    STAMPEDE_TRY(Content a, Content::open(before_, before.number, before.node));
    STAMPEDE_TRY(Content b, Content::open(after_, after.number, after.node));
    for (Offset at; at.bytes < common.bytes;) {
      const auto left = a.at(at), right = b.at(at);
      const Size part = std::min({left.left, right.left, Offset{common.bytes} - at});
      const bool zeros = left.is_zero && right.is_zero;
      const bool one_chunk = left.chunk != nullptr && right.chunk != nullptr && *left.chunk == *right.chunk;
      if (zeros || (one_chunk && left.within == right.within)) {
        at += part;
        continue;
      }
      // To the end of a block of the file, so that none is counted twice.
      const std::uint64_t end = std::min(at.bytes + part.bytes, round_down(at.bytes, kBlock) + kMostRead.bytes);
      STAMPEDE_TRY(const Size found, read_and_compare(a, b, at, {end - at.bytes}));
      out += found;
      at = {end};
    }
    return out;
  }

  Result<Size> read_and_compare(Content& a, Content& b, Offset at, Size length) {
    STAMPEDE_CHECK(check_stopped());
    if (length > may_read_)
      return fail(Code::read_failed, "the file system is damaged: its files hold one another's blocks");
    may_read_ -= length;
    const MutableBytes left = MutableBytes(left_).first(length.bytes), right = MutableBytes(right_).first(length.bytes);
    STAMPEDE_CHECK(a.read(at, left));
    STAMPEDE_CHECK(b.read(at, right));
    Size out;
    for (std::size_t from = 0; from < left.size();) {
      const std::size_t size = std::min<std::size_t>(kBlock - (at.bytes + from) % kBlock, left.size() - from);
      if (!std::ranges::equal(left.subspan(from, size), right.subspan(from, size))) out += Size{size};
      from += size;
    }
    return out;
  }

  Side before_, after_;
  const TreeDiffOptions& options_;
  const std::function<void(FileChange)>& each_;
  Size may_read_;
  std::vector<Pair> folders_;
  Bytes left_ = Bytes(kMostRead.bytes), right_ = Bytes(kMostRead.bytes);
};

}  // namespace

Result<> compare_trees(const FileSystemPlace& before, const FileSystemPlace& after, const TreeDiffOptions& options,
                       const std::function<void(FileChange)>& each) {
  STAMPEDE_TRY(auto left, FileTree::open(before.blocks, before.offset));
  STAMPEDE_TRY(auto right, FileTree::open(after.blocks, after.offset));
  return TreeDiff({std::move(left), before.blocks, {}}, {std::move(right), after.blocks, {}}, options, each).run();
}

}  // namespace stampede::service
