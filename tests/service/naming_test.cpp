#include "src/service/naming.h"

#include "src/service/library.h"
#include "src/service/store_check.h"
#include "tests/service/store_fixture.h"

namespace stampede::service {
namespace {

using Strings = std::vector<std::string>;

class NamingTest : public StoreTest {
 protected:
  Result<Imported> try_import(std::uint64_t seed, const char* name, Words words = {}) {
    Bytes image(100'000);
    SeededRandom(seed).fill(image);
    PackagingOptions options;
    options.words = std::move(words);
    return StoreTest::try_import(image, name, options);
  }
  chunker::ImageId id(std::uint64_t seed, const char* name, Words words = {}) {
    const auto imported = try_import(seed, name, std::move(words));
    EXPECT_TRUE(imported) << imported.error().message;
    return imported ? imported->record.image : chunker::ImageId{};
  }
  Result<Tagged> tag(std::string_view source, const char* target, const Words& words = {}) {
    return tag_image(*store_, *chunker::ImageRef::parse(source), *chunker::ImageName::parse(target), words);
  }
  chunker::TagRecord record(std::string_view name) {
    const auto found = find_image(*store_, *chunker::ImageRef::parse(name));
    EXPECT_TRUE(found) << found.error().message;
    return found ? found->record : chunker::TagRecord{};
  }
  Result<Removed> remove(std::string_view name, bool history = false) {
    return remove_image(*store_, *chunker::ImageRef::parse(name), history);
  }
  static Words labels(std::map<std::string, std::string> labels, Strings roles = {}) {
    return {.parent = {}, .roles = std::move(roles), .labels = std::move(labels), .move = false};
  }
  static Words moving() { return {.parent = {}, .roles = {}, .labels = {}, .move = true}; }
  static Words from(const chunker::ImageId& parent) { return {.parent = parent, .roles = {}, .labels = {}, .move = false}; }
};

TEST_F(NamingTest, ANameMovesWhenToldAndIsSigned) {
  const auto one = id(1, "a:1"), two = id(2, "a:2");
  ASSERT_TRUE(tag("a:1", "a:stable"));
  EXPECT_EQ(tag("a:2", "a:stable").error().code, Code::tag_taken);
  const auto moved = tag("a@" + chunker::to_string(two).substr(0, 8), "a:stable", moving());
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_TRUE(moved->changed);
  EXPECT_EQ(moved->before, one);
  EXPECT_EQ(record("a:stable").image, two);
  EXPECT_EQ(record("a:stable").created, record("a:2").created);
  EXPECT_EQ(store_->catalog().tag_history({"a", "stable"})->size(), 2U);
  EXPECT_FALSE(tag("a:2", "a:stable", moving())->changed);
}

TEST_F(NamingTest, AnImportMovesANameWhenTold) {
  const auto one = id(1, "a:1");
  EXPECT_EQ(try_import(2, "a:1").error().code, Code::tag_taken);
  EXPECT_NE(id(2, "a:1", moving()), one);
  EXPECT_TRUE(find_image(*store_, *chunker::ImageRef::parse(chunker::to_string(one))));
  EXPECT_TRUE(check_store(*store_, {})->sound());
}

TEST_F(NamingTest, WordsAreAddedToWhatIsSaidOfAnImage) {
  const auto image = id(1, "a:1", labels({{"owner", "ops"}, {"note", "x"}}, {"web"}));
  EXPECT_FALSE(try_import(1, "a:1")->tagged);
  EXPECT_TRUE(try_import(1, "a:1", labels({{"owner", "db"}}))->tagged);
  EXPECT_EQ(record("a:1").labels, (std::map<std::string, std::string>{{"owner", "db"}, {"note", "x"}}));
  EXPECT_TRUE(tag("a:1", "a:1", labels({{"note", ""}}, {"db", "edge"}))->changed);
  EXPECT_EQ(record("a:1").labels, (std::map<std::string, std::string>{{"owner", "db"}}));
  EXPECT_EQ(record("a:1").roles, (Strings{"db", "edge"}));
  EXPECT_FALSE(tag("a:1", "a:1", labels({{"owner", "db"}}))->changed);
  EXPECT_EQ(record("a:1").image, image);
  EXPECT_EQ(store_->catalog().tag_history({"a", "1"})->size(), 3U);
}

// The words go with the image to another name.
TEST_F(NamingTest, AnotherNameSaysTheSame) {
  const auto base = id(1, "base:1");
  auto words = labels({{"owner", "ops"}}, {"web"});
  words.parent = base;
  id(2, "a:1", words);
  ASSERT_TRUE(tag("a:1", "b:1"));
  EXPECT_EQ(record("b:1").parent, base);
  EXPECT_EQ(record("b:1").roles, (Strings{"web"}));
  EXPECT_EQ(record("b:1").labels.at("owner"), "ops");
}

TEST_F(NamingTest, WordsThatAreNoneAreRefusedBeforeAnythingIsStored) {
  EXPECT_EQ(try_import(1, "a:1", labels({}, {"We b"})).error().code, Code::usage);
  std::map<std::string, std::string> many;
  for (std::size_t i = 0; i <= chunker::kMaxLabels; ++i) many[fmt::format("k{}", i)] = "v";
  EXPECT_EQ(try_import(1, "a:1", labels(many)).error().code, Code::usage);
  EXPECT_TRUE(std::filesystem::is_empty(store_->folder() / "packs"));
  Words words;
  for (const std::string bad : {"", "=", "=v", "a", "a b=c", "-a=b", "\xc3\xa4=b", "a=\n", "a=\x1b[2J"})
    EXPECT_EQ(add_label(bad, words).error().code, Code::usage) << bad;
  EXPECT_EQ(add_label(std::string(64, 'k') + "=v", words).error().code, Code::usage);
  EXPECT_EQ(add_label("k=" + std::string(257, 'v'), words).error().code, Code::usage);
  EXPECT_TRUE(words.labels.empty());
  EXPECT_TRUE(add_label("k=a=b", words));
  EXPECT_EQ(words.labels.at("k"), "a=b");
}

TEST_F(NamingTest, ARemovedNameFreesItsImageAndAHistoryKeepsOthers) {
  const auto one = id(1, "a:1"), two = id(2, "a:2");
  ASSERT_TRUE(tag("a:1", "a:stable"));
  ASSERT_TRUE(tag("a:2", "a:stable", moving()));
  const auto kept = remove("a:1");
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->unreferred_to.empty());  // the history of stable
  EXPECT_EQ(remove("a:1").error().code, Code::not_found);
  EXPECT_EQ(remove("a:stable")->history, 1U);
  const auto gone = remove("a:2");
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->unreferred_to, std::vector{two});
  EXPECT_TRUE(remove("a:stable").error().message.contains("--history"));
  EXPECT_EQ(remove("a:stable", true)->unreferred_to, std::vector{one});
  EXPECT_EQ(store_->catalog().live_images()->size(), 0U);
}

TEST_F(NamingTest, AnImageIsRemovedUnderAllItsNames) {
  const auto one = id(1, "a:1");
  ASSERT_TRUE(tag("a:1", "a:2"));
  ASSERT_TRUE(tag("a:1", "b:1"));
  const auto digits = chunker::to_string(one);
  EXPECT_EQ(remove("a@" + digits.substr(0, 12))->records.size(), 2U);
  EXPECT_EQ(record("b:1").image, one);
  EXPECT_EQ(remove(digits)->unreferred_to, std::vector{one});
  EXPECT_EQ(remove(digits).error().code, Code::not_found);
}

TEST_F(NamingTest, LineageGoesUpToWhatIsKnownAndOneStepDown) {
  const auto one = id(1, "a:1"), two = id(2, "a:2", from(one)), three = id(3, "a:3", from(two));
  id(4, "b:1", from(one));
  const auto top = lineage(*store_, record("a:1"));
  ASSERT_TRUE(top);
  EXPECT_TRUE(top->ancestors.empty());
  EXPECT_EQ(top->children.size(), 2U);
  const auto bottom = [&] { return *lineage(*store_, record("a:3")); };
  EXPECT_EQ(bottom().names, (Strings{"a:3"}));
  ASSERT_EQ(bottom().ancestors.size(), 2U);
  EXPECT_EQ(bottom().ancestors[0].image, two);
  EXPECT_EQ(bottom().ancestors[1].names, (Strings{"a:1"}));
  EXPECT_TRUE(bottom().children.empty());
  // One that only history knows is called by its id; one that is gone is known by those that come from it.
  ASSERT_TRUE(tag("a:3", "a:2", moving()));
  EXPECT_EQ(bottom().ancestors[0].names, (Strings{"a@" + chunker::to_string(two).substr(0, 16)}));
  ASSERT_TRUE(remove(chunker::to_string(two)));
  ASSERT_EQ(bottom().ancestors.size(), 1U);
  EXPECT_TRUE(bottom().ancestors[0].names.empty());
  EXPECT_EQ(record("a:3").image, three);
}

TEST_F(NamingTest, AnImageIsNotItsOwnParentAndACircleEnds) {
  const auto one = id(1, "a:1");
  ASSERT_TRUE(tag("a:1", "a:1", from(one)));
  EXPECT_FALSE(record("a:1").parent);
  const auto two = id(2, "a:2", from(one));
  ASSERT_TRUE(tag("a:1", "a:1", from(two)));
  EXPECT_EQ(lineage(*store_, record("a:1"))->ancestors.size(), 1U);
}

TEST_F(NamingTest, TheCheckReadsWhatOnlyHistoryKnows) {
  const auto one = id(1, "a:1");
  id(2, "a:1", moving());
  EXPECT_EQ(check_store(*store_, {})->images, (Strings{"a:1", "a@" + chunker::to_string(one).substr(0, 16)}));
  for (const auto& entry : std::filesystem::directory_iterator(store_->folder() / "packs"))
    std::filesystem::remove(entry.path());
  const auto report = check_store(*store_, {});
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->sound());
}

}  // namespace
}  // namespace stampede::service
