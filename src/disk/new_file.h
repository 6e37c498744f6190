// A file that has no name until it is complete and durable: an interrupted deployment, a killed one too, leaves none, and an
// older file of that name stays as it was. Where the file system knows no files without a name (NFS), it has one with
// ".new-" and random digits at its end until then, which only a killed process leaves behind.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "src/base/file.h"

namespace stampede::disk {

class NewFile {
 public:
  // `may_replace`: an existing file of that name goes when this one is published, if it says so then. Errors: no_space,
  // read_only, usage.
  using MayReplace = std::function<Result<>()>;
  static Result<std::unique_ptr<NewFile>> make(const std::filesystem::path& path, MayReplace may_replace);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const File& file() const { return file_; }  // O_RDWR
  bool replaces() const { return may_replace_ != nullptr; }
  // Flushes it and gives it its name, durably. Errors: usage where there is a file of that name by now; what may_replace
  // says; write_failed, flush_failed.
  Result<> publish();

 private:
  NewFile(std::filesystem::path path, MayReplace may_replace)
      : path_(std::move(path)), may_replace_(std::move(may_replace)) {}
  Result<> give_name();

  const std::filesystem::path path_;
  const MayReplace may_replace_;     // none: there was no such file
  std::filesystem::path temporary_;  // empty: it has none
  File file_;
};

// Why a file cannot be made or opened to be written.
Error cannot_open_file(const std::filesystem::path& path, int error_number);
// Asks for O_DIRECT on the open descriptor: with O_CREAT a file system that has none makes the file and then refuses. Is it
// set?
bool set_direct(int fd);

// Lets an empty file share all of `base` with it, at no cost (a reflink). False where the file system cannot. Errors: usage,
// where `base` is no file that can be read; no_space, write_failed.
Result<bool> clone_file(const std::filesystem::path& base, const File& file);

}  // namespace stampede::disk
