// Chunks of zeros, which a store does not hold: an index names a run of them, or of free space, as chunks of 256 KiB, then
// what is left of whole blocks of 4 KiB, then what is left of a run that ends in the middle of one. So there are few enough
// kinds that the one meant is found by its id.
#pragma once

#include <optional>

#include "chunker/types.h"

namespace stampede::casync {

// The first piece of a run of zeros, and into how many pieces the run falls. `run` > 0.
Size zero_piece(Size run);
std::uint64_t zero_pieces(Size run);

// The id (SHA-256) of such a piece; how long the piece of an id is, if it is one. Thread-safe. The first call hashes 17 MiB.
const chunker::ChunkId& zero_id(Size piece);
std::optional<Size> zero_size(const chunker::ChunkId& id);

}  // namespace stampede::casync
