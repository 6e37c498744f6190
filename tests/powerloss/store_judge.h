// Whether a store on a disk whose power went is what it must be, without anybody's hand: the file system replays its
// journal, the store opens, its check is clean, what must be there comes out byte for byte, and it takes a new image.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "src/base/file.h"
#include "tests/powerloss/expectations.h"

namespace stampede::powerloss {

class StoreJudge {
 public:
  // `images`: the folder of the files that marks speak of, and of "next.img", which is not in the store. States are judged
  // on a copy in `folder`, mounted there.
  StoreJudge(std::filesystem::path images, std::filesystem::path folder);

  // The disk of an ext4 file system with the store in its folder "store". Error: internal, with what is wrong.
  Result<> judge(const File& disk, const Expectations& expected);

  std::size_t recovered() const { return recovered_; }  // packs, of all states together
  std::size_t exported() const { return exported_; }

 private:
  Result<> judge_store(const Expectations& expected);
  std::filesystem::path images_, copy_, mount_, out_;
  std::size_t recovered_ = 0, exported_ = 0;
};

}  // namespace stampede::powerloss
