// Reads whole packs and says what is wrong with them. Not for other rooms.
#pragma once

#include "cache/store.h"

namespace stampede::cache {

// The packs in `folder`. How far it came is kept in `state`, which a whole check that ends removes.
Result<StoreCheck> check_folder(const std::filesystem::path& folder, const std::filesystem::path& state,
                                const CheckOptions& options);

}  // namespace stampede::cache
