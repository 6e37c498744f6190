// One bit flipped anywhere in a store: the check finds it and names what it harms, and nobody gets altered data.
//
//   STAMPEDE_SEED=7 STAMPEDE_FLIPS=2000 test_bit_rot     another place each time unless a seed is given; it is printed
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <iostream>

#include <map>
#include <set>

#include "cache/catalog_sql.h"
#include "cache/pack.h"
#include "chunker/digest.h"
#include "chunker/package.h"
#include "src/service/library.h"
#include "src/service/packaging.h"
#include "src/service/receipts.h"
#include "src/service/site.h"
#include "src/service/store_check.h"
#include "tests/chunker/images.h"

namespace stampede::service {
namespace {

using chunker::ChunkId;
using testing::filesystem_like;
using testing::Piece;
using testing::write_image;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = ::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Place {
  std::filesystem::path file;
  std::uint64_t byte = 0;
  unsigned bit = 0;
};

class BitRot : public ::testing::Test {
 protected:
  void SetUp() override {
    std::cout << "STAMPEDE_SEED=" << seed_ << "\n";
    store_ = open();
    ASSERT_TRUE(store_);
    // Two that share most, in packs of their own, and one that shares nothing.
    auto pieces = filesystem_like(1, 60);
    add("a:1", pieces);
    pieces.push_back({40 * 4096, testing::random_bytes(9, 8 * 4096)});
    add("a:2", pieces);
    add("b:1", filesystem_like(2, 50));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "store/packs"))
      packs_.push_back(cache::Pack::open(entry.path())->pack);
    ASSERT_EQ(packs_.size(), 3U);
  }

  std::unique_ptr<cache::Store> open() {
    auto store = cache::Store::open(folder_.path() / "store", system_clock());
    EXPECT_TRUE(store) << store.error().message;
    return store ? *std::move(store) : nullptr;
  }
  void add(const std::string& name, const std::vector<Piece>& pieces) {
    const auto file = folder_.path() / name;
    write_image(file, {64 * 4096}, pieces);
    const auto imported = import_image(*store_, file, *chunker::ImageName::parse(name), {});
    ASSERT_TRUE(imported) << imported.error().message;
    const auto id = imported->record.image;
    const auto manifest = chunker::load_manifest(store_->chunks(), id);
    ASSERT_TRUE(manifest);
    needed_by_[chunker::as_chunk(id)].insert(name);
    for (const auto& ref : manifest->root.segments) needed_by_[ref.id].insert(name);
    for (const auto& [chunk, names] : needed_by_)
      if (names.contains(name)) manifest_of_[name].insert(chunk);
    for (const auto& segment : manifest->segments)
      for (const auto& record : segment.records)
        if (record.kind == chunker::RecordKind::data) needed_by_[record.chunk].insert(name);
    names_.insert(name);
  }

  // Records by an earlier signer, receipts, a token that was used.
  void fill_catalog() {
    std::filesystem::remove(folder_.path() / "store/keys/signing.key");
    ASSERT_TRUE(import_image(*store_, folder_.path() / "a:1", *chunker::ImageName::parse("a:1"), {}));
    auto& catalog = store_->catalog();
    const auto node = trust::PrivateKey::generate();
    ASSERT_TRUE(catalog.add_token(chunker::sha256(as_bytes("secret")), system_clock().unix_time() + 1000, 5));
    ASSERT_TRUE(catalog.redeem(chunker::sha256(as_bytes("secret")), node.public_key()));
    for (int i = 0; i < 4; ++i) {
      deploy::Receipt receipt;
      receipt.deployment = fmt::format("{:032x}", i);
      receipt.node = trust::to_string(node.public_key());
      receipt.name = "a:1";
      receipt.started = "2026-11-02T14:03:09Z";
      const Bytes bytes = deploy::encode(receipt);
      ASSERT_TRUE(catalog.add_receipt({.number = 0,
                                       .node = node.public_key(),
                                       .received = 1'793'628'189,
                                       .verdict = std::string(deploy::name_of(receipt.verdict)),
                                       .receipt = bytes,
                                       .signature = node.sign(trust::kReceiptDomain, bytes)}));
    }
  }

  static void flip(const Place& place) {
    const auto file = File::open(place.file, O_RDWR);
    ASSERT_TRUE(file) << file.error().message;
    std::array<std::byte, 1> byte{};
    ASSERT_TRUE(file->read_at({place.byte}, byte));
    byte[0] ^= static_cast<std::byte>(1U << place.bit);
    ASSERT_TRUE(file->write_at({place.byte}, byte));
  }

  // A pack's head or footer, a record's head, or sealed bytes: each as often as the others. The chunks that it harms.
  std::pair<Place, std::set<ChunkId>> somewhere_in_packs() {
    const cache::Pack& pack = *packs_[random_.below(packs_.size())];
    Place place{pack.name(), 0, static_cast<unsigned>(random_.below(8))};
    const cache::PackEntry entry = *pack.entry(static_cast<std::uint32_t>(random_.below(pack.size())));
    std::set<ChunkId> harmed{entry.id};
    switch (random_.below(3)) {
      case 0:
        place.byte = entry.record.bytes + random_.below(cache::kRecordHead);
        break;
      case 1:
        place.byte = entry.sealed().bytes + random_.below(entry.sealed_size);
        break;
      default:
        place.byte = random_.below(8) == 0
                         ? random_.below(cache::kPackHead)
                         : pack.records_end().bytes + random_.below(pack.stamp().size - pack.records_end().bytes);
        for (const cache::PackEntry& each : *pack.entries()) harmed.insert(each.id);
    }
    return {place, harmed};
  }

  // Each image comes out as it was, or not at all; those that need none of the chunks come out.
  void expect_exact_or_refused(cache::Store& store, const std::set<std::string>& harmed) {
    for (const auto& name : names_) {
      const auto out = folder_.path() / "out";
      const auto result = export_as(store, name, out);
      if (result)
        EXPECT_TRUE(testing::same_content(folder_.path() / name, out)) << name;
      else
        EXPECT_TRUE(harmed.contains(name)) << name << ": " << result.error().message;
      EXPECT_EQ(std::filesystem::remove(out), result.has_value());
    }
  }
  static Result<> export_as(cache::Store& store, const std::string& name, const std::filesystem::path& out) {
    STAMPEDE_TRY(const auto image, find_image(store, *chunker::ImageName::parse(name)));
    STAMPEDE_TRY(const auto manifest, chunker::load_manifest(store.chunks(), image.record.image));
    return chunker::export_image(manifest, store.chunks(), out, {});
  }

  const std::uint64_t seed_ = from_environment("STAMPEDE_SEED", system_random().number() % 1'000'000);
  const std::uint64_t flips_ = from_environment("STAMPEDE_FLIPS", 200);
  SeededRandom random_{seed_};
  Scratch folder_{std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path()};
  std::unique_ptr<cache::Store> store_;
  std::vector<std::shared_ptr<const cache::Pack>> packs_;
  std::map<ChunkId, std::set<std::string>> needed_by_;
  std::map<std::string, std::set<ChunkId>> manifest_of_;  // its root and segments
  std::set<std::string> names_;
};

TEST_F(BitRot, OfPacksIsFoundAndNamed) {
  for (std::uint64_t i = 0; i < flips_; ++i) {
    const auto [place, chunks] = somewhere_in_packs();
    SCOPED_TRACE(fmt::format("flip {}: bit {} of byte {} of {}", i, place.bit, place.byte, place.file.string()));
    flip(place);
    const auto store = open();
    const auto report = check_store(*store, {});
    ASSERT_TRUE(report) << report.error().message;

    // What an image needs cannot be told where its manifest is harmed: it is named with that alone.
    std::set<std::string> unreadable;
    for (const auto& [name, manifest] : manifest_of_)
      if (std::ranges::any_of(manifest, [&](const ChunkId& id) { return chunks.contains(id); })) unreadable.insert(name);
    std::set<ChunkId> named;
    std::set<std::string> harmed;
    for (const Damage& damage : report->damages) {
      named.insert(damage.chunk);
      EXPECT_EQ(damage.pack, place.file.filename().string());
      EXPECT_TRUE(damage.lost);
      std::set<std::string> images, expected = needed_by_[damage.chunk];
      for (const auto index : damage.images) images.insert(report->images[index]);
      harmed.insert(images.begin(), images.end());
      for (const auto& name : expected)
        EXPECT_TRUE(images.contains(name) || unreadable.contains(name))
            << name << " needs " << chunker::to_string(damage.chunk);
      EXPECT_TRUE(std::ranges::includes(expected, images));
    }
    EXPECT_EQ(named, chunks);
    EXPECT_TRUE(std::ranges::includes(harmed, unreadable));
    expect_exact_or_refused(*store, harmed);
    flip(place);
    if (HasFailure()) return;
  }
  const auto report = check_store(*open(), {});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->sound()) << report->lines().front();
}

// All that the catalog holds, and the schema by which it is read.
std::string content_of(const std::filesystem::path& file) {
  std::string content;
  auto database = cache::Database::open(file);
  if (!database) return database.error().message;
  for (const char* sql :
       {"SELECT quote(name) || quote(tag) || quote(image) || quote(parent) || quote(record) || quote(signer) || "
        "quote(signature) || quote(added) || quote(number) || quote(ended) FROM tags ORDER BY 1",
        "SELECT quote(secret_hash) || quote(expires) || quote(uses) FROM tokens ORDER BY 1",
        "SELECT quote(key) || quote(enrolled) FROM nodes ORDER BY 1",
        "SELECT quote(secret_hash) || quote(key) FROM token_uses ORDER BY 1",
        "SELECT quote(number) || quote(node) || quote(received) || quote(verdict) || quote(receipt) || quote(signature) "
        "FROM "
        "receipts ORDER BY 1",
        "SELECT quote(number) || quote(at) || quote(actor) || quote(action) || quote(subject) FROM audit ORDER BY 1",
        "SELECT quote(name) || quote(seq) FROM sqlite_sequence ORDER BY 1",
        "SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) FROM sqlite_schema ORDER BY 1",
        "PRAGMA user_version"}) {
    auto query = database->query_made(sql);
    if (!query) return query.error().message;
    for (Result<bool> more = query->next();; more = query->next()) {
      if (!more) return more.error().message;
      if (!*more) break;
      content += query->text(0) + "\n";
    }
  }
  return content;
}

// What commands answer from it: the records and receipts that they take for sound. (Of what the catalog alone says, such as
// a receipt's number and the time when it came, only the check knows that it was altered.)
std::set<std::string> answers_of(cache::Store& store) {
  std::set<std::string> answers;
  const auto text = [](const Bytes& bytes) { return std::string(as_text(bytes)); };
  if (const auto list = list_images(store))
    for (const auto& image : list->images) answers.insert("list " + text(image.signed_record.record));
  for (const char* name : {"a:1", "a:2", "b:1"})
    if (const auto found = find_image(store, *chunker::ImageName::parse(name)))
      answers.insert(fmt::format("find {} {}", name, text(found->signed_record.record)));
  if (const auto rows = store.catalog().list_receipts())
    for (const auto& row : *rows)
      if (read_receipt(row)) answers.insert("receipt " + text(row.receipt));
  return answers;
}

// A flip that the check does not find changes nothing that is in the catalog: it lies in a page or a part of one that is not
// used, or in a field of the header that only says how SQLite goes about its work. None makes a command answer something
// else.
TEST_F(BitRot, OfTheCatalogIsFoundOrLiesInUnusedSpace) {
  fill_catalog();
  store_.reset();
  const auto file = folder_.path() / "store/catalog.sqlite";
  const std::string content = content_of(file);
  const Bytes sound = *read_file(file, 16_MiB);
  std::set<std::string> answers;
  {
    const auto store = open();
    answers = answers_of(*store);
    const auto report = check_store(*store, {});
    ASSERT_TRUE(report && report->sound()) << report->lines().front();
  }
  ASSERT_EQ(answers.size(), 3U + 3 + 4);
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < flips_; ++i) {
    // Often where something is: half of the pages of such a small one are empty.
    std::uint64_t byte = random_.below(sound.size());
    for (int again = 0; again < 3 && sound[byte] == std::byte{0}; ++again) byte = random_.below(sound.size());
    const Place place{file, byte, static_cast<unsigned>(random_.below(8))};
    SCOPED_TRACE(fmt::format("flip {}: bit {} of byte {}", i, place.bit, place.byte));
    flip(place);
    bool noticed = true;
    if (auto store = cache::Store::open(folder_.path() / "store", system_clock()); store) {
      for (const auto& answer : answers_of(**store)) EXPECT_TRUE(answers.contains(answer)) << answer;
      const auto report = check_store(**store, {});
      noticed = !report || !report->sound();
    }
    found += noticed;
    if (!noticed) EXPECT_EQ(content_of(file), content);
    for (const char* beside : {"-wal", "-shm"}) std::filesystem::remove(file.string() + beside);
    ASSERT_TRUE(File::open(file, O_WRONLY)->write_at({}, sound));
    std::filesystem::resize_file(file, sound.size());
    if (HasFailure()) return;
  }
  std::cout << found << " of " << flips_ << " found\n";
  EXPECT_GT(found, flips_ / 5);
}

// Of each bit of the file that says which version the store has.
TEST_F(BitRot, OfTheVersionClosesTheStore) {
  const auto file = folder_.path() / "store/version";
  for (std::uint64_t byte = 0; byte < std::filesystem::file_size(file); ++byte)
    for (unsigned bit = 0; bit < 8; ++bit) {
      flip({file, byte, bit});
      const auto store = cache::Store::open(folder_.path() / "store", system_clock());
      EXPECT_FALSE(store) << byte << " " << bit;
      flip({file, byte, bit});
    }
  EXPECT_TRUE(open());
}

// What keys say that can be compared: all but the depot's own, which is certified anew at each start.
struct Keys {
  std::vector<trust::PublicKey> signers;
  trust::PublicKey signer{}, authority{};
  Bytes certificate;
  bool operator==(const Keys&) const = default;
};

Keys keys_of(const std::filesystem::path& store) {
  const auto site = open_site(store);
  const auto key = trust::PrivateKey::load(store / "keys/signing.key");
  const auto signers = accepted_signers(store);
  if (!site || !key || !signers) return {};
  return {*signers, key->public_key(), site->authority.public_key(), site->authority.certificate()};
}

TEST_F(BitRot, OfKeysIsFoundOrChangesNothing) {
  const auto store = folder_.path() / "store";
  ASSERT_TRUE(open_site(store));
  const Keys before = keys_of(store);
  ASSERT_NE(before, Keys{});
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < flips_ / 2; ++i) {
    const char* const name = std::array{"ca.key", "ca.crt", "signing.key", "signers"}[random_.below(4)];
    const Place place{store / "keys" / name, random_.below(std::filesystem::file_size(store / "keys" / name)),
                      static_cast<unsigned>(random_.below(8))};
    SCOPED_TRACE(fmt::format("flip {}: bit {} of byte {} of {}", i, place.bit, place.byte, name));
    flip(place);
    if (check_keys(store).empty())
      EXPECT_EQ(keys_of(store), before);  // the PEM's last line feed, a letter's case in hex, …
    else
      ++found;
    flip(place);
  }
  EXPECT_GT(found, flips_ / 4);
}

}  // namespace
}  // namespace stampede::service
