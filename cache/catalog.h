// The catalog: what the depot knows besides chunks. SQLite (WAL, synchronous=FULL) behind this interface; no SQL elsewhere.
// Thread-safe; several processes may have it open. A busy database is waited for (5 s).
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chunker/tag_record.h"
#include "src/base/error.h"
#include "src/base/seams.h"

namespace stampede::cache {

using KeyBytes = std::array<std::byte, 32>;  // an Ed25519 public key
using Hash32 = std::array<std::byte, 32>;

// A signed record and the row that it stands in. Nothing but the record's signature proves that the two belong together.
struct TagRow : chunker::SignedTagRecord {
  chunker::ImageName name;
  chunker::ImageId image;
  UnixTime added = 0;
  UnixTime ended = 0;  // when a later record took the name over; 0: this one counts
};

// What a new record may do to a name that has one.
enum class Naming : std::uint8_t {
  keep,     // the name stays the image that it is
  move,     // it may become another image
  restate,  // it stays that image, and the same signer says something new of it
};

struct NodeRow {
  KeyBytes key{};
  UnixTime enrolled = 0;
};

struct TokenGrant {
  bool push = false;  // who uses it may push images into the store, for good
};

struct ReceiptRow {
  std::int64_t number = 0;  // ascending, given by the catalog
  KeyBytes node{};
  UnixTime received = 0;
  std::string verdict;  // "success", "failure", "refused"
  Bytes receipt;        // JSON, as signed
  std::array<std::byte, 64> signature{};
};

// As a receipt's "disk" names them; empty where the disk does not say.
struct DiskNames {
  std::string guid, serial, wwn;
  std::string path;  // counts for a disk that says neither serial nor WWN
  std::uint64_t size = 0;
};

class Catalog {
 public:
  static Result<std::unique_ptr<Catalog>> open(const std::filesystem::path& file, Clock& clock);
  virtual ~Catalog() = default;

  // Tags. A name:tag that is another image already and may not move: tag_taken. The same image by the same signer again,
  // unless restated: fine, nothing changes. Else the new record counts from now on, and the one before is history. Returns
  // whether a record was added. Errors: also usage, where the name is none.
  virtual Result<bool> add_tag(const chunker::TagRecord& decoded, const chunker::SignedTagRecord& record,
                               Naming naming = Naming::keep) = 0;
  // The record that counts of a name:tag, or of an id one that does or did: the newest. Error: usage, where an id's digits
  // are those of several images.
  virtual Result<std::optional<TagRow>> find_tag(const chunker::ImageRef& image) = 0;
  // The record that counts of each name; all of one name that are kept, oldest first.
  virtual Result<std::vector<TagRow>> list_tags() = 0;
  virtual Result<std::vector<TagRow>> tag_history(const chunker::ImageName& name) = 0;
  // Every image that a record speaks of, be it history: what must be kept. Each once.
  virtual Result<std::vector<chunker::ImageId>> live_images() = 0;
  // Forgets records, and says so in the audit log: of a name:tag the one that counts, with `history` all of them; of an id
  // all that speak of it, history or not. Returns those that were forgotten. Error: usage, as find_tag().
  virtual Result<std::vector<TagRow>> remove_tags(const chunker::ImageRef& image, bool history, std::string_view actor) = 0;

  // Join tokens. redeem() in one transaction: unknown → token_invalid, past → token_expired, no use left for a new key →
  // token_used; a key that used it before may come back at any time. The node is recorded, and that it may push images
  // where the token grants that.
  virtual Result<> add_token(const Hash32& secret_hash, UnixTime expires, std::uint32_t uses, TokenGrant grant = {}) = 0;
  virtual Result<> redeem(const Hash32& secret_hash, const KeyBytes& key) = 0;
  virtual Result<bool> is_enrolled(const KeyBytes& key) = 0;
  virtual Result<bool> may_push(const KeyBytes& key) = 0;
  virtual Result<std::vector<NodeRow>> list_nodes() = 0;

  // Gives the receipt's number. The same bytes from the same node are one receipt: what is sent again keeps its number.
  virtual Result<std::int64_t> add_receipt(const ReceiptRow& row) = 0;
  virtual Result<std::vector<ReceiptRow>> list_receipts() = 0;
  virtual Result<std::optional<ReceiptRow>> find_receipt(std::int64_t number) = 0;
  // The newest receipt of a success whose "disk" says all of this.
  virtual Result<std::optional<ReceiptRow>> newest_success_on(const DiskNames& disk) = 0;

  // What SQLite finds wrong with the file, a line each.
  virtual Result<std::vector<std::string>> check() = 0;

  // Append-only: who did what, when.
  virtual Result<> audit(std::string_view actor, std::string_view action, std::string_view subject) = 0;
};

}  // namespace stampede::cache
