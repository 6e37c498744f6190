// Leases: what the garbage collection leaves alone because somebody relies on it. A lease is a file in the store's folder
// "leases", locked by who took it (flock), so that it ends with its process. See store.h for how they are used.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "chunker/types.h"
#include "src/base/file.h"

namespace stampede::cache {

// Held until it is destroyed. Movable; belongs to one owner at a time.
class Lease {
 public:
  Lease() = default;  // of nothing
  Lease(Lease&& other) noexcept : path_(std::exchange(other.path_, {})), file_(std::move(other.file_)) {}
  Lease& operator=(Lease other) noexcept {
    std::swap(path_, other.path_);
    std::swap(file_, other.file_);
    return *this;
  }
  ~Lease();

 private:
  friend Result<Lease> take_lease(const std::filesystem::path& folder, std::string_view what);
  Lease(std::filesystem::path path, File file) : path_(std::move(path)), file_(std::move(file)) {}
  std::filesystem::path path_;
  File file_;
};

// For an import, on every pack that there is; and on what one image consists of. Errors: usage, no_space.
Result<Lease> lease_packs(const std::filesystem::path& folder);
Result<Lease> lease_image(const std::filesystem::path& folder, const chunker::ImageId& image);

// The leases that are held now. Removes the files of those whose process died. Errors: usage.
struct LiveLeases {
  std::vector<std::string> imports;  // their files' names, ascending: no two leases ever have the same
  std::vector<chunker::ImageId> images;
};
Result<LiveLeases> live_leases(const std::filesystem::path& folder);

// The packs that a collection is about to remove, by file name: whoever takes a lease after they were named does not rely on
// them. Errors: usage, no_space, write_failed.
using PackNames = std::unordered_set<std::string>;
Result<> condemn(const std::filesystem::path& folder, const PackNames& packs);
Result<PackNames> condemned(const std::filesystem::path& folder);
// There are none any more.
void spare_all(const std::filesystem::path& folder);

// Locks a folder or file that is there, waiting for others who do; until the file is closed. Errors: usage.
Result<File> lock(const std::filesystem::path& path);
// The same, or nothing where somebody has it. Makes the file where it is missing.
Result<std::optional<File>> try_lock(const std::filesystem::path& file);

}  // namespace stampede::cache
