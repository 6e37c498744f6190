#include "src/service/rescue_shelf.h"

#include <algorithm>
#include <vector>

#include "src/base/file.h"
#include "transport/wire/messages.h"

namespace stampede::service {

namespace fs = std::filesystem;

namespace {

fs::path folder_of(const fs::path& store, const trust::PublicKey& node) { return store / "rescue" / trust::to_string(node); }

void forget_oldest(const fs::path& folder) {
  struct Kept {
    fs::file_time_type written;
    fs::path path;
  };
  std::vector<Kept> kept;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    kept.push_back({it->last_write_time(error), it->path()});
  if (kept.size() <= kRescuesOfANode) return;
  std::ranges::sort(kept, std::ranges::greater{}, &Kept::written);
  for (std::size_t i = kRescuesOfANode; i < kept.size(); ++i) fs::remove(kept[i].path, error);
}

}  // namespace

Result<> keep_rescue(const fs::path& store, const trust::PublicKey& node, const std::array<std::byte, 16>& deployment,
                     ByteView file) {
  const fs::path folder = folder_of(store, node);
  STAMPEDE_CHECK(make_folders(folder));
  STAMPEDE_CHECK(replace_file(folder / to_hex(deployment), file));
  forget_oldest(folder);
  return {};
}

Result<Bytes> find_rescue(const fs::path& store, const trust::PublicKey& node, std::string_view deployment) {
  const auto id = from_hex(deployment);
  const fs::path path = folder_of(store, node) / (id ? to_hex(*id) : "");
  std::error_code error;
  if (!id || id->size() != 16 || !fs::is_regular_file(path, error))
    return fail(Code::not_found,
                "no rescue file of deployment {}: the disk was blank or interrupted, or {} newer ones of its node are kept",
                deployment, kRescuesOfANode);
  return read_file(path, {wire::kMaxRescue});
}

}  // namespace stampede::service
