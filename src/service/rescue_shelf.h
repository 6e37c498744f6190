// The rescue files (src/disk/rescue.h) that targets send before they write a disk: <store>/rescue/<node>/<deployment>, both
// in hex. Of each node the newest kRescuesOfANode are kept.
#pragma once

#include <array>
#include <filesystem>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/trust/keys.h"

namespace stampede::service {

inline constexpr std::size_t kRescuesOfANode = 16;

// Durable when it returns.
Result<> keep_rescue(const std::filesystem::path& store, const trust::PublicKey& node,
                     const std::array<std::byte, 16>& deployment, ByteView file);
// `deployment` as a receipt names it. Error: not_found.
Result<Bytes> find_rescue(const std::filesystem::path& store, const trust::PublicKey& node, std::string_view deployment);

}  // namespace stampede::service
