// Reads whole packs and says what is wrong with them. Not for other rooms.
#pragma once

#include <functional>

#include "cache/store.h"

namespace stampede::cache {

Result<StoreCheck> check_folder(const std::filesystem::path& folder,
                                const std::function<void(Size done, Size total)>& progress);

}  // namespace stampede::cache
