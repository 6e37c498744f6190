// One deployment, from a name to a receipt: connect, plan, transfer, flush, read-back, fit, first-boot, commit; each a timed
// stage, and the timeline of the receipt is the same list.
//
// Nothing is written to any disk before the plan stands: the image is known, its tag record signed by somebody whom this
// node accepts, its manifest whole, the instance possible, and the disk named, matched once and held.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "src/deploy/access.h"
#include "src/deploy/fit.h"
#include "src/deploy/free_space.h"
#include "src/deploy/preview.h"
#include "src/deploy/read_back.h"
#include "src/deploy/receipt.h"
#include "src/deploy/survey.h"
#include "src/disk/guard.h"
#include "src/firstboot/instance.h"

namespace stampede::deploy {

inline constexpr std::array<std::string_view, 8> kStages{"connect",   "plan", "transfer",   "flush",
                                                         "read-back", "fit",  "first-boot", "commit"};

struct Progress {
  std::string_view stage;
  ByteCounts bytes;
  std::uint64_t read_back = 0;  // plain bytes compared, in that stage
  std::uint32_t peers = 0;
  double seconds = 0;  // since the start
  bool depot_up = false;
};

struct Reserved;  // reserve.h

struct Options : AccessOptions {
  chunker::ImageRef image;
  disk::Selector disk;
  std::vector<std::string> overwrite;         // each names a disk whose content may be lost (disk::Needs)
  Size file_size{};                           // disk::Needs
  std::optional<std::filesystem::path> base;  // disk::Needs; what it shares is kept as Delta::always does
  FitOptions fit;
  Delta delta = Delta::automatic;
  std::filesystem::path rescue_folder;  // empty: in the state's folder
  firstboot::Instance instance;
  Unspecified unspecified = Unspecified::leave;
  Verify verify = Verify::data;
  // Of one that is one of several (several.h): those together, its disk, held already, and why nothing is to be written.
  std::optional<std::array<std::byte, 16>> group;
  std::shared_ptr<Reserved> reserved;
  std::optional<Error> refused;
  std::optional<Duration> serve_for;                                       // nothing: while others are active
  std::optional<Size> memory;                                              // the most that it may take (memory.h)
  std::function<void(const Progress&)> progress = [](const Progress&) {};  // from the calling thread
};

struct Outcome {
  Receipt receipt;
  Bytes signed_bytes;  // the receipt as signed
  trust::Signature signature{};
  bool delivered = false;      // the depot has it
  std::optional<Error> error;  // nothing: success
};

// `done` is called once the outcome stands, before a successful target goes on serving others.
Outcome deploy(const Options& options, const std::function<void(const Outcome&)>& done);

// What deploy() would do: connects (and enrols if need be), works the plan out, takes the disk, looks at it, and lets go of
// it. Nothing is written to it, no file is made, and the depot gets no receipt. Errors: those that deploy() would refuse
// with.
Result<Preview> preview(const Options& options);

}  // namespace stampede::deploy
