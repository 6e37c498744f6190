// Manifests whose records are each sound but do not make a disk together.
#include "chunker/manifest_layout.h"
#include "chunker/package.h"
#include "chunker/seal.h"
#include "tests/chunker/memory_store.h"
#include "tests/chunker/scratch.h"

namespace stampede::chunker {
namespace {

using namespace stampede::testing;

struct Parts {
  Root root;
  std::vector<Segment> segments;
};

// Two segments: data and zeros, then a repeat and a short chunk.
Parts sound() {
  Parts parts;
  parts.segments.push_back({{0}, {{RecordKind::data, 8_KiB, id_of(1)}, {RecordKind::zero, 4_KiB, {}}}});
  parts.segments.push_back({{12 << 10}, {{RecordKind::repeat, 8_KiB, id_of(1)}, {RecordKind::data, 5_B, id_of(2)}}});
  parts.root.disk_size = 20_KiB + 5_B;
  parts.root.data_size = 16_KiB + 5_B;
  return parts;
}

Code load(Parts parts, const std::function<void(MemoryStore&, const Root&)>& meddle = {}) {
  MemoryStore store;
  Digester digester;
  Sealer sealer;
  for (const Segment& segment : parts.segments) {
    const Bytes bytes = encode(segment);
    SegmentRef ref = describe(segment);
    ref.id = {sha256(bytes)};
    parts.root.segments.push_back(ref);
    EXPECT_DONE(store.put(sealer.seal(digester.name(bytes))));
  }
  const Bytes root = encode(parts.root);
  EXPECT_DONE(store.put(sealer.seal(digester.name(root))));
  if (meddle) meddle(store, parts.root);
  return code_of(load_manifest(store, {sha256(root)}));
}

TEST(LoadManifest, TakesWhatIsSound) { EXPECT_EQ(load(sound()), Code{}); }

TEST(LoadManifest, RefusesWhatIsNoDisk) {
  const std::vector<std::function<void(Parts&)>> changes{
      [](Parts& p) { p.root.disk_size += 4_KiB; },
      [](Parts& p) { p.root.disk_size -= 1_B; },
      [](Parts& p) { p.root.data_size -= 1_B; },
      [](Parts& p) { p.segments[0].records[1].length = 8_KiB; },           // overlaps the next segment
      [](Parts& p) { p.segments[1].records[0].kind = RecordKind::data; },  // named twice
      [](Parts& p) { p.segments[0].records[0].kind = RecordKind::repeat; },
      [](Parts& p) { p.segments[1].records[0].chunk = id_of(3); },  // repeats what was never named
      [](Parts& p) {
        p.segments[1].records[0].length = 4_KiB;  // the same chunk with another length
        p.root.disk_size -= 4_KiB;
        p.root.data_size -= 4_KiB;
      },
      [](Parts& p) {
        p.segments[1].records[0] = {RecordKind::zero, 8_KiB, {}};  // to be merged with the zeros before
        p.root.data_size -= 8_KiB;
      },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Parts parts = sound();
    changes[i](parts);
    EXPECT_EQ(load(parts), Code::content_altered) << i;
  }
}

TEST(LoadManifest, SaysWhatIsMissingOrAltered) {
  EXPECT_EQ(load(sound(), [](MemoryStore& store, const Root& root) { store.chunks.erase(root.segments[1].id); }),
            Code::store_damaged);
  EXPECT_EQ(load(sound(), [](MemoryStore& store, const Root& root) { store.chunks.erase({sha256(encode(root))}); }),
            Code::not_found);
  EXPECT_EQ(load(sound(),
                 [](MemoryStore& store, const Root& root) { store.chunks[root.segments[0].id].bytes[9] ^= std::byte{4}; }),
            Code::content_altered);
  EXPECT_EQ(load(sound(), [](MemoryStore& store, const Root& root) { store.chunks[root.segments[0].id].plain_size = ~0U; }),
            Code::content_altered);
}

}  // namespace
}  // namespace stampede::chunker
