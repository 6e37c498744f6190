// Serves an open file, to be read only, to one client over a socket pair: so a program reads a file that it may not open,
// that one alone, and what it reads is counted. The NBD protocol of its server's side (github.com/NetworkBlockDevice/nbd,
// doc/proto.md): fixed newstyle negotiation without TLS, one export, simple replies; reads, nothing else.
//
// The client is not trusted: what it sends is at most kMostOption or kMostRead long, or the connection ends.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "src/base/file.h"

namespace stampede::nbd {

// What the client is told of the file's end. qemu takes what a file's tables name behind its end for zeros, without asking:
// a file that was cut short would read as a whole one. So it is not told where the end is.
enum class FileEnd : std::uint8_t {
  told,    // for formats that look for something at the end
  hidden,  // what reaches beyond the end's sector is an error, see RawServer::past_end()
  padded,  // hidden, but what begins before the end and reaches beyond gets zeros: for who reads more than it uses
};

class RawServer {
 public:
  static constexpr Size kMostRead = 32_MiB;
  static constexpr Size kMostOption = 4_KiB;

  // What is told where the end is hidden: more than any format can name.
  static constexpr Size kNoEnd = {1ULL << 62};

  // `file` outlives it. Error: internal.
  static Result<std::unique_ptr<RawServer>> start(const File& file, FileEnd end = FileEnd::told);
  // Ends the connection.
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  // The client's end of the pair, once: to be handed to it, and closed here then.
  File take_client() { return std::move(client_); }
  // Bytes that were read of the file. Any thread.
  Size read_so_far() const { return {read_}; }
  // Whether what lies behind the hidden end was asked for, so that the file is not whole. Any thread.
  bool past_end() const { return past_end_; }

 private:
  RawServer(const File& file, FileEnd end, Size size, File server, File client);
  void run();
  bool negotiate();
  bool answer_option(std::uint32_t option);
  bool answer_request();
  Size told_size() const { return end_ == FileEnd::told ? size_ : kNoEnd; }
  bool may_reach(std::uint64_t offset, std::uint32_t length) const;
  // Into buffer_; 0 or an errno.
  std::uint32_t read(std::uint64_t offset, std::uint32_t length);
  bool send(ByteView bytes);
  bool receive(MutableBytes bytes);

  const File& file_;
  const FileEnd end_;
  const Size size_;
  const File server_;
  File client_;
  Bytes buffer_;
  std::atomic<std::uint64_t> read_ = 0;
  std::atomic<bool> past_end_ = false;
  std::jthread thread_;  // ended first
};

}  // namespace stampede::nbd
