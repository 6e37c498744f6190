// The tag record: the signed statement "name:tag is this image", with who, when and what is known of it.
//
// Small JSON (at most kMaxTagRecord bytes), signed as the exact bytes under trust::kTagRecordDomain with Ed25519. The
// signature travels beside the bytes, never inside. Unknown members are kept and ignored.
//   { "version": 1, "name": "debian", "tag": "12", "image": "<64 hex>", "parent": null | "<64 hex>",
//     "created": "2026-11-02T14:03:09Z", "source": "debian.img", "disk_size": 4294967296, "data_size": 536870912,
//     "sector_size": 512, "table": "gpt", "disk_guid": "…", "partitions": [ {number, offset, length, type, guid, name,
//     filesystem, label, uuid} ], "root": null | {partition, filesystem, offset, length, label, uuid, clean},
//     "architecture": "x86_64" | null, "firmware": ["bios","uefi"], "cloud_init": true, "os_release": {…}, "roles": [],
//     "fixed_ids": null | ["…"], "lint": null | [ {code, path} ] }
// Older records have an empty "lint" although nobody had looked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chunker/image_name.h"
#include "chunker/types.h"
#include "src/base/error.h"
#include "src/volume/inspect.h"

namespace stampede::chunker {

inline constexpr Size kMaxTagRecord = 64_KiB;

struct TagRecord {
  ImageName name;
  ImageId image;
  std::optional<ImageId> parent;
  std::string created;  // RFC 3339
  std::string source;
  Size disk_size;
  Size data_size;
  volume::ImageFacts facts;
  std::vector<std::string> roles;
};

// The record's bytes with their signature, as kept and sent.
struct SignedTagRecord {
  Bytes record;
  std::array<std::byte, 32> signer{};  // Ed25519 public key
  std::array<std::byte, 64> signature{};
};

Bytes encode(const TagRecord& record);
// Errors: content_altered.
Result<TagRecord> decode_tag_record(ByteView bytes);

}  // namespace stampede::chunker
