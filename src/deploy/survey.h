// What a disk holds already of the image that it shall become, found by reading it before anything is written: what stands
// in its place is kept, what stands elsewhere can be moved, and only the rest has to come by the network. An interrupted
// deployment of the same image is the same case, with most of it in place.
//
// Read are, once (scan.h), up to the image's size, what is in use by the disk's own file systems and the image's data ranges
// that they do not call free. Their word says where to look; what is there is believed once it is hashed. What an
// interrupted run left is looked for in all data ranges.
//
// Where a receipt says which image the disk was given (former.h) and a sample of it agrees, less is read: what that image
// has in the same place, what stands now where it was free, and, where a sample says so, the places of what it has nowhere.
// Where the rest is its manifest says.
//
// Memory: Scan's, safe_order()'s, and what is in use by the file systems, by ranges.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "src/deploy/former.h"
#include "src/deploy/moves.h"
#include "src/deploy/plan.h"

namespace stampede::deploy {

enum class Delta : std::uint8_t {
  automatic,  // where a sample of the disk says that reading it is worth its time; after an interrupted run at least what
              // its journal names, or all where it kept none
  always,
  never,
};

// A sample of so many ranges of the image, evenly spread, of which so many have to match; or of so many pieces of the disk,
// which have to hold the same share of chunks that the image wants. Reading a range and naming it takes about an eighth of
// the time that 1 Gbit/s needs to bring it, and less where many share the wire.
inline constexpr std::size_t kSampled = 32;
inline constexpr std::size_t kWorthwhile = 4;

struct SurveyInput {
  Delta delta = Delta::automatic;
  bool interrupted = false;            // the disk bears the mark of a deployment of this very image
  std::optional<Bitmap> journal = {};  // the spans that it had made durable, if it kept one
  Size image;
  // Called about ten times a second from the calling thread with the bytes read so far; false ends it with `interrupted`.
  std::function<bool(Size read)> progress;
  // The file that what the disk holds was reflinked from: its file systems are asked, since the new file has no name yet.
  std::optional<std::filesystem::path> base = {};
  // The image that a receipt says is there; looked at where `delta` is automatic and nothing was interrupted.
  Former* former = nullptr;
};

struct Survey {
  Size read;
  Size kept;                // plain bytes in their places, which the plan holds now
  std::vector<Move> moves;  // in a safe order
  std::size_t lost = 0;     // places that the journal names and that are wrong
  bool by_former = false;   // moves are as its manifest says: some may not be there
};

// Before begin(). What is kept is held and remembered by the plan. What cannot be read is not there. Errors: read_failed
// where the disk cannot even be opened, interrupted.
Result<Survey> survey(Plan& plan, disk::Target& target, const SurveyInput& input);

}  // namespace stampede::deploy
