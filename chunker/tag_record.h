// The tag record: the signed statement "name:tag is this image", with who, when and what is known of it.
//
// Small JSON (at most kMaxTagRecord bytes), signed as the exact bytes under trust::kTagRecordDomain with Ed25519. The
// signature travels beside the bytes, never inside. Unknown members are kept and ignored, also where a record is signed
// again.
//   { "version": 1, "name": "debian", "tag": "12", "image": "<64 hex>", "parent": null | "<64 hex>",
//     "created": "2026-11-02T14:03:09Z", "source": "debian.img", "disk_size": 4294967296, "data_size": 536870912,
//     "sector_size": 512, "table": "gpt", "disk_guid": "…", "partitions": [ {number, offset, length, type, guid, name,
//     filesystem, label, uuid} ], "root": null | {partition, filesystem, offset, length, label, uuid, clean},
//     "architecture": "x86_64" | null, "firmware": ["bios","uefi"], "cloud_init": true, "os_release": {…}, "roles": [],
//     "fixed_ids": null | ["…"], "fixed_ids_by": 1, "lint": null | [ {code, path} ], "kernels": ["6.1.0-18-amd64"],
//     "labels": {"owner": "web team"}, "tagged": "2026-11-03T08:00:00Z" }
// Older records do not say which version of the look found "fixed_ids". They have an empty "lint" although nobody had
// looked, and end with it: no kernels and labels are known of them, and they were tagged when created.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "chunker/image_name.h"
#include "chunker/types.h"
#include "src/base/error.h"
#include "src/volume/inspect.h"

namespace stampede::chunker {

inline constexpr Size kMaxTagRecord = 64_KiB;
inline constexpr std::size_t kMaxRoles = 32;
inline constexpr std::size_t kMaxLabels = 64;
inline constexpr std::size_t kMaxLabelKey = 63;
inline constexpr std::size_t kMaxLabelValue = 256;

// A key is [A-Za-z0-9][A-Za-z0-9._/-]{0,62}, a value up to 256 bytes of UTF-8 without control characters.
bool is_label(std::string_view key, std::string_view value);

struct TagRecord {
  ImageName name;
  ImageId image;
  std::optional<ImageId> parent;
  std::string created;  // the image; RFC 3339
  std::string tagged;   // this statement was signed; RFC 3339
  std::string source;
  Size disk_size;
  Size data_size;
  volume::ImageFacts facts;
  std::vector<std::string> roles;
  std::map<std::string, std::string> labels;
  std::string others;  // members that this version does not know, as a JSON object; empty: none
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
