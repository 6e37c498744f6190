// What a deployment would do, worked out like a real one up to the disk, held and looked at, but not written.
#pragma once

#include "src/deploy/receipt.h"
#include "src/volume/inspect.h"

namespace stampede::deploy {

struct Preview {
  std::string name;                 // "debian:12"
  std::string image;                // id, hex
  DiskFacts disk;                   // as it is now: `guid` is that of the table on it, empty where there is none
  std::size_t disks = 0;            // of this machine, of which the selector matches this one alone
  bool made = false;                // a file that is not there yet
  bool resumes = false;             // goes on with an interrupted deployment of this image
  bool by_receipt = false;          // what is moved is where a receipt says; what is not there is fetched instead
  std::string content;              // what the disk holds: "blank", "gpt partition table, 2 partitions: …"
  std::string deployed;             // by this site, as a receipt says: "debian:11 (deployment 0f3a…)"; else empty
  std::vector<volume::Found> lost;  // what libblkid knows of it, by partition
  std::vector<std::string> wiped;   // marks of volume managers beyond the image's end (src/disk/stale.h)
  // Plain bytes. data = kept + moved + fetched + repeated.
  std::uint64_t data = 0;
  std::uint64_t kept = 0;      // right already, in their places
  std::uint64_t moved = 0;     // from elsewhere on the disk
  std::uint64_t fetched = 0;   // asked for: repeats come once, and sealed they are fewer
  std::uint64_t repeated = 0;  // the same chunks in further places
  std::uint64_t zeroed = 0;
  std::uint64_t unspecified = 0;  // free space of the image: anything may stay there
};

}  // namespace stampede::deploy
