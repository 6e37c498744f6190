// The check of a whole store: what `stampede store check` does, without its printing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cache/store.h"

namespace stampede::service {

// A chunk that the store should hold and that a pack does not give as it was put, or that no pack has.
struct Damage {
  chunker::ChunkId chunk;
  std::string pack;  // its file's name; empty: no pack has the chunk
  std::string what;
  bool lost = true;  // false: another pack has a sound copy, which whoever asks for the chunk gets
  std::vector<std::uint32_t>
      images;  // that need it, as part of their disk or their manifest: indexes into StoreReport::images
};
// So many are told one by one, and so many mentions of images: 100 MiB at most.
inline constexpr std::size_t kMaxDamages = std::size_t{1} << 18;
inline constexpr std::size_t kMaxMentions = std::size_t{1} << 22;

// Every chunk re-hashed (or a share of them), every manifest read and every chunk that it names looked up, the signatures of
// all records and receipts checked, the catalog's file and rows, and the keys.
struct StoreReport {
  cache::StoreCheck packs;
  std::vector<std::string> images;    // "name:tag"; "name@id" of one that was it before
  std::vector<Damage> damages;        // those of packs first
  std::uint64_t more_damages = 0;     // that are not told one by one
  std::vector<std::string> problems;  // what is not about single chunks: packs, manifests, records, receipts, catalog, keys

  bool sound() const { return damages.empty() && more_damages == 0 && problems.empty(); }
  // All of it for people, a line each.
  std::vector<std::string> lines() const;
  // "a:1, b:2", of a damage.
  std::string images_of(const Damage& damage) const;
};

struct StoreCheckOptions : cache::CheckOptions {
  // While images are gone through, after the packs.
  std::function<void(std::uint64_t done, std::uint64_t total)> images = {};
};
// Memory: what is said of cache::Store::check_packs() and of the damages, a manifest's root and one segment, the catalog's
// rows, and whole manifests of at most 2^20 records (64 MiB). Errors: interrupted; what keeps it from checking at all.
Result<StoreReport> check_store(cache::Store& store, const StoreCheckOptions& options);

}  // namespace stampede::service
