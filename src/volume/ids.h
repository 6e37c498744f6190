// The ids by which a machine finds its own disk, partitions and file systems, where its files mention them, and new ones for
// a copy that is to be told apart: disk GUID, partition GUIDs, UUIDs of ext2/3/4 and swap. What other file systems and
// volumes are called by stays. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/seams.h"
#include "src/volume/inspect.h"

namespace stampede::volume {

// As inspect() tells them, lower case: 36 characters, an MBR's id 8, its partitions' "<id>-01" 11.
using NewIds = std::map<std::string, std::string>;

// A new one for each. What is the same in the image is the same again; an MBR's partitions follow its id.
NewIds fresh_ids(const ImageFacts& facts, Random& random);
// Is it one whose UUID can be changed?
bool has_changeable_uuid(const PartitionFacts& partition);

// Does the text or the binary mention one, in either case and not as a part of a longer word? (An MBR's bare id, which
// nothing calls a disk by, is not looked for.)
bool mentions(ByteView bytes, const NewIds& ids);
// With each mention replaced: as long as before.
std::string with_new_ids(std::string text, const NewIds& ids);
// The longest mention, for those who look piece by piece.
inline constexpr std::size_t kLongestId = 36;

}  // namespace stampede::volume
