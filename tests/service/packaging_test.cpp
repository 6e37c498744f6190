#include "src/service/packaging.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "chunker/image_blocks.h"
#include "src/firstboot/apply.h"
#include "src/service/generalised.h"
#include "src/service/image_diff.h"
#include "src/service/naming.h"
#include "src/service/site.h"
#include "src/volume/ext4.h"
#include "src/volume/free_space.h"
#include "src/volume/id_mentions.h"
#include "tests/volume/images.h"

namespace stampede::service {
namespace {

using volume::kIdSearch;
using volume::put;
using volume::run;

// A template that is one ext4 file system, and a store.
class GeneralisedImport : public testing::Test {
 protected:
  void SetUp() override {
    if (!volume::have("mke2fs") || !volume::have("e2fsck")) GTEST_SKIP() << "needs e2fsprogs";
    volume::make_root_tree(scratch_ / "tree");
    put(scratch_ / "tree/var/lib/dhcp/dhclient.leases", "lease {}\n");
    volume::make_disk(image_, 16U << 20);
    const auto made =
        run(fmt::format("mke2fs -q -F -t ext4 -L root -d {} {}", (scratch_ / "tree").string(), image_.string()));
    ASSERT_EQ(made.code, 0) << made.output;
    auto store = cache::Store::open(scratch_ / "store", system_clock());
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  Result<Imported> import(const char* name, bool generalise) {
    PackagingOptions options;
    options.generalise = generalise;
    return import_image(*store_, image_, *chunker::ImageName::parse(name), options);
  }
  std::string digest_of_source() const { return run("sha256sum < " + image_.string()).output; }

  volume::Scratch scratch_;
  std::filesystem::path image_ = scratch_ / "image";
  std::unique_ptr<cache::Store> store_;
};

TEST_F(GeneralisedImport, TheImageIsGeneralAndTheSourceAsItWas) {
  const std::string before = digest_of_source();
  const auto plain = import("plain:1", false);
  ASSERT_TRUE(plain) << plain.error().message;
  ASSERT_TRUE(plain->lint);
  EXPECT_EQ(plain->lint->findings.size(), 4U);
  ASSERT_TRUE(plain->record.facts.lint);
  EXPECT_EQ(*plain->record.facts.lint, plain->lint->findings);
  EXPECT_FALSE(plain->generalised);

  const auto general = import("general:1", true);
  ASSERT_TRUE(general) << general.error().message;
  EXPECT_EQ(general->generalised->removed, plain->lint->findings);
  EXPECT_TRUE(general->lint->findings.empty());
  EXPECT_TRUE(general->record.facts.lint->empty());
  EXPECT_EQ(general->record.source, "image");
  EXPECT_EQ(digest_of_source(), before);
  EXPECT_NE(general->record.image, plain->record.image);

  // As a target gets it: sound, and first boot finds what it needs.
  const auto manifest = chunker::load_manifest(store_->chunks(), general->record.image);
  ASSERT_TRUE(manifest);
  ASSERT_TRUE(chunker::export_image(*manifest, store_->chunks(), scratch_ / "out", {}));
  const auto check = run("e2fsck -fn " + (scratch_ / "out").string());
  EXPECT_EQ(check.code, 0) << check.output;
  auto blocks = volume::open_blocks(scratch_ / "out", true).value();
  firstboot::Instance instance;
  instance.hostname = "web-1";
  const auto applied = firstboot::apply(*blocks, general->record.facts, instance, "iid-1");
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(run("e2fsck -fn " + (scratch_ / "out").string()).code, 0);
}

// Looking for them takes as long as half of an import that brings nothing.
TEST_F(GeneralisedImport, WhatMentionsIdsIsNotLookedForAgain) {
  const auto plain = import("plain:1", false);
  ASSERT_TRUE(plain) << plain.error().message;
  ASSERT_TRUE(plain->record.facts.fixed_ids);
  EXPECT_TRUE(plain->record.facts.fixed_ids->empty());
  const auto key = open_signing_key(store_->folder());
  ASSERT_TRUE(key);
  const auto say = [&](const char* name, std::optional<std::vector<std::string>> fixed_ids, std::uint32_t by = kIdSearch) {
    chunker::TagRecord record = plain->record;
    record.name = *chunker::ImageName::parse(name);
    record.facts.fixed_ids = std::move(fixed_ids);
    record.facts.fixed_ids_by = by;
    EXPECT_TRUE(give_name(*store_, std::move(record), {}, *key));
  };
  say("known:1", std::vector<std::string>{"somebody said so"});
  const auto again = import("plain:2", false);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->record.image, plain->record.image);
  EXPECT_EQ(again->record.facts.fixed_ids, (std::vector<std::string>{"somebody said so"}));
  // By who did not look, and by who looked otherwise. (Of one second the first name counts.)
  say("b:1", std::nullopt);
  const auto looked = import("plain:3", false);
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_EQ(looked->record.facts.fixed_ids, plain->record.facts.fixed_ids);
  EXPECT_EQ(looked->record.facts.fixed_ids_by, kIdSearch);
  say("a:1", std::vector<std::string>{"an older one said so"}, kIdSearch - 1);
  const auto anew = import("plain:4", false);
  ASSERT_TRUE(anew) << anew.error().message;
  EXPECT_EQ(anew->record.facts.fixed_ids, plain->record.facts.fixed_ids);
}

TEST_F(GeneralisedImport, TheSameTemplateIsTheSameImage) {
  const auto one = import("general:1", true);
  ASSERT_TRUE(one) << one.error().message;
  run("sleep 1.1");  // the clock's second is not in it
  const auto again = import("general:1", true);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->record.image, one->record.image);
  EXPECT_FALSE(again->tagged);
}

TEST_F(GeneralisedImport, RefusesWhatItCannotEdit) {
  ASSERT_EQ(run(fmt::format("debugfs -w -R 'feature needs_recovery' {}", image_.string())).code, 0);
  const std::string before = digest_of_source();
  const auto unclean = import("unclean:1", true);
  ASSERT_FALSE(unclean);
  EXPECT_EQ(unclean.error().code, Code::cannot_customise);
  EXPECT_EQ(digest_of_source(), before);
  put(image_, std::string(100'000, 'x'));
  EXPECT_EQ(import("none:1", true).error().code, Code::cannot_customise);
  EXPECT_TRUE(import("none:1", false));
  EXPECT_FALSE(find_image(*store_, *chunker::ImageName::parse("unclean:1")));
}

TEST_F(GeneralisedImport, TheDiffIsWhatWasRemoved) {
  ASSERT_TRUE(import("plain:1", false));
  ASSERT_TRUE(import("general:1", true));
  const auto before = find_image(*store_, *chunker::ImageName::parse("plain:1"));
  const auto after = find_image(*store_, *chunker::ImageName::parse("general:1"));
  std::vector<std::string> got;
  ImageDiffOptions options;
  options.each = [&](unsigned partition, const FileChange& one) {
    EXPECT_EQ(partition, 0U);
    got.push_back(one.path);
  };
  const auto diff = diff_images(*store_, *before, *after, options);
  ASSERT_TRUE(diff) << diff.error().message;
  EXPECT_TRUE(diff->unseen.empty());
  EXPECT_EQ(got, (std::vector<std::string>{"/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key",
                                           "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/ssh/ssh_host_rsa_key",
                                           "/etc/ssh/ssh_host_rsa_key.pub", "/var/lib/dhcp/dhclient.leases"}));
  const auto total = diff->bytes.total();
  EXPECT_GT(total.fresh, Size{});
  EXPECT_LT(total.fresh, 2_MiB);
  EXPECT_EQ(total.same + total.shared + total.fresh, total.after);
}

TEST_F(GeneralisedImport, ACopyIsTheSame) {
  for (const std::uint64_t size : {0ULL, 1ULL, 4097ULL, 3'000'001ULL}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; i += 100'003) text[i] = 'x';
    put(scratch_ / "some", text);
    std::filesystem::resize_file(scratch_ / "some", size + 10'000'000);
    const auto copy = unnamed_copy(store_->folder(), scratch_ / "some", {});
    ASSERT_TRUE(copy) << copy.error().message;
    EXPECT_EQ(run(fmt::format("cmp /proc/{}/fd/{} {}", ::getpid(), copy->fd(), (scratch_ / "some").string())).code, 0);
  }
  const auto stopped = unnamed_copy(store_->folder(), image_, {.interrupted = [] { return true; }});
  EXPECT_TRUE(stopped || stopped.error().code == Code::interrupted);
}

// A file of a FAT that lies between blocks makes another image of a disk than it was to older versions, which knew blocks
// alone: under the name that they gave it, it is that image.
TEST_F(GeneralisedImport, ADiskFromBeforeTheCutOffTheGridIsTheImageThatItWas) {
  if (!volume::have("mkfs.vfat") || !volume::have("mcopy")) GTEST_SKIP() << "needs dosfstools and mtools";
  const auto disk = scratch_ / "fat";
  const auto made =
      run(fmt::format("cd {} && head -c 300000 /dev/urandom >file && truncate -s 64M fat && "
                      "mkfs.vfat -F 32 -s 1 fat && mcopy -i fat file ::",
                      scratch_.path().string()));
  ASSERT_EQ(made.code, 0) << made.output;
  const auto now = import_image(*store_, disk, *chunker::ImageName::parse("now:1"), {});
  ASSERT_TRUE(now) << now.error().message;

  const File file = std::move(File::open(disk, O_RDONLY).value());
  auto session = store_->begin_import().value();
  const auto free = volume::find_free_space(disk, [] { return true; });
  ASSERT_TRUE(free);
  chunker::ImportOptions by_blocks;
  by_blocks.unspecified = free->ranges;
  const auto before = chunker::import_image(file, {}, *session, by_blocks);
  ASSERT_TRUE(before) << before.error().message;
  ASSERT_TRUE(session->commit());
  EXPECT_NE(before->image, now->record.image);
  chunker::TagRecord record = now->record;
  record.name = *chunker::ImageName::parse("before:1");
  record.image = before->image;
  ASSERT_TRUE(give_name(*store_, record, {}, open_signing_key(store_->folder()).value()));

  const auto again = import_image(*store_, disk, record.name, {});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->record.image, before->image);
  put(scratch_ / "more", std::string(100'000, 'x'));
  ASSERT_EQ(run(fmt::format("mcopy -i {} {} ::", disk.string(), (scratch_ / "more").string())).code, 0);
  EXPECT_EQ(import_image(*store_, disk, record.name, {}).error().code, Code::tag_taken);
}

}  // namespace
}  // namespace stampede::service
