// The input is a kind of file system and patches to a sound one, since libext2fs refuses at its first look what is not
// nearly sound: 1 byte kind, then patches of u24 position, u8 length, bytes.
#include <map>
#include <set>

#include "src/volume/ext4.h"
#include "src/volume/file_tree.h"
#include "src/volume/generalise.h"
#include "src/volume/lint.h"
#include "tests/volume/images.h"

using namespace stampede;

namespace {

constexpr const char* kKinds[] = {
    "-t ext4 -O ^metadata_csum,^has_journal",
    "-t ext2",
    "-t ext4 -O inline_data,^metadata_csum,^has_journal -I 256",
    "-t ext4 -O metadata_csum,^has_journal",
};

const Bytes& sound(std::size_t kind) {
  static std::map<std::size_t, Bytes> made;
  if (const auto found = made.find(kind); found != made.end()) return found->second;
  const volume::Scratch scratch;
  for (int i = 0; i < 30; ++i)
    volume::put(scratch / "tree/etc/ssh" / ("ssh_host_" + std::string(40, 'n') + std::to_string(i)), "k");
  volume::put(scratch / "tree/etc/large", std::string(40'000, 'L'));
  volume::put(scratch / "tree/etc/machine-id", std::string(32, '1'));
  volume::put(scratch / "tree/etc/ssh/ssh_host_rsa_key", std::string(3000, 'k'));
  volume::put(scratch / "tree/var/lib/cloud/instances/i/data", "d");
  std::filesystem::create_symlink("etc/ssh", scratch / "tree/link");
  volume::make_disk(scratch / "image", 512 << 10);
  const auto ran =
      volume::run(fmt::format("mke2fs -q -F -b 1024 {} -d {} {} && e2fsck -fyD {}", kKinds[kind],
                              (scratch / "tree").string(), (scratch / "image").string(), (scratch / "image").string()));
  if (ran.code > 1) std::abort();
  return made[kind] = std::move(volume::MemoryBlocks::load(scratch / "image").bytes());
}

void use(volume::Ext4& files) {
  std::ignore = files.list("/");
  std::ignore = files.list("/link");
  std::ignore = files.read("/etc/large", 1_MiB);
  std::ignore = files.kind("/link/ssh_host_x");
  std::ignore = files.used();
  std::ignore = files.idle();
  const Range all{{}, {512 << 10}};
  std::ignore = files.owners(std::span(&all, 1));
}

void walk(volume::BlockAccess& blocks) {
  auto tree = volume::FileTree::open(blocks, {});
  if (!tree) return;
  std::set<volume::NodeNumber> seen;
  std::vector<volume::NodeNumber> waiting{volume::FileTree::kRoot};
  while (!waiting.empty() && seen.size() < 100) {
    const volume::NodeNumber number = waiting.back();
    waiting.pop_back();
    if (!seen.insert(number).second) continue;
    std::ignore = tree->node(number);
    std::ignore = tree->extents(number);
    if (const auto children = tree->children(number))
      for (const auto& child : *children) waiting.push_back(child.node);
  }
}

// What is found, and what is left when it has been removed.
void generalise(volume::MemoryBlocks blocks) {
  volume::ImageFacts facts;
  facts.root = volume::RootFacts{
      .partition = 0, .offset = {}, .length = blocks.size(), .filesystem = "ext4", .label = {}, .uuid = {}, .clean = true};
  facts.cloud_init = true;
  std::ignore = volume::lint(blocks, facts);
  std::ignore = volume::generalise(blocks, facts);
}

void edit(volume::BlockAccess& blocks) {
  auto files = volume::Ext4::open(blocks, {}, true);
  if (!files) return;
  use(*files);
  std::ignore = files->write("/var/lib/cloud/meta-data", Bytes(3000), 0600);
  std::ignore = files->write("/etc/large", Bytes(100), 0600);
  const auto names = files->list("/etc/ssh");
  for (std::size_t i = 0; names && i < names->size() && i < 40; ++i) std::ignore = files->remove("/etc/ssh/" + (*names)[i]);
  std::ignore = files->close();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteReader in(std::as_bytes(std::span(data, size)));
  const std::uint8_t choice = in.u8();
  volume::MemoryBlocks blocks(sound(choice % std::size(kKinds)));
  // Mostly the superblock, the descriptors, the bitmaps and the inodes; else everything.
  const std::size_t range = choice < 0xc0 ? 40'000 : blocks.bytes().size() - 256;
  while (in.left() >= 4) {
    const std::uint32_t head = in.u32();
    const std::size_t at = (head & 0xffffff) % range;
    const ByteView patch = in.view(std::min<std::size_t>(head >> 24, in.left()));
    std::ranges::copy(patch, blocks.bytes().begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (auto files = volume::Ext4::look(blocks, {}); files) use(*files);
  walk(blocks);
  generalise(blocks);
  edit(blocks);
  return 0;
}
