#include "src/service/capture.h"

#include <algorithm>
#include <thread>

#include "src/deploy/tag_signature.h"
#include "src/service/push.h"

namespace stampede::service {

namespace {

// Workers wait for the depot's answers, not for a processor alone.
constexpr unsigned kThreads = 8;

// What the depot said it signed: of this image, and soundly.
Result<chunker::TagRecord> check_signed(const chunker::SignedTagRecord& now, const chunker::ImageId& image) {
  STAMPEDE_CHECK(deploy::check_signature(now));
  STAMPEDE_TRY(auto record, chunker::decode_tag_record(now.record));
  if (record.image != image) return fail(Code::content_altered, "the depot signed another image than the one that was sent");
  return record;
}

}  // namespace

Result<Captured> capture_image(const ImageSource& source, const CaptureOptions& options) {
  STAMPEDE_TRY(auto access, deploy::Access::open(options));
  STAMPEDE_CHECK(access.connect());
  net::PushSink sink(*access.node(), {options.name.name, options.name.tag, {}, options.move, true});
  STAMPEDE_CHECK(open_push(access, sink));
  PackagingOptions packaging = options.packaging;
  chunker::ImportOptions& import = packaging.import;
  import.threads = std::max({import.threads, kThreads, std::thread::hardware_concurrency()});
  // Where the depot takes nothing any more there is no use in reading on.
  import.interrupted = [&] { return options.stopped() || sink.failed(); };
  Imported packaged;
  const auto now = push_all(sink, [&]() -> Result<chunker::SignedTagRecord> {
    STAMPEDE_TRY(packaged, package_image(source, options.name, packaging, sink));
    sink.set_image(packaged.record.image);
    return chunker::SignedTagRecord{chunker::encode(packaged.record), {}, {}};
  });
  if (const auto failed = sink.failed()) return pass(*failed);
  if (!now) return pass(now.error());
  Captured captured;
  STAMPEDE_TRY(captured.record, check_signed(*now, packaged.record.image));
  captured.report = std::move(packaged.report);
  captured.taken_whole = std::move(packaged.taken_whole);
  captured.sent = sink.sent();
  return captured;
}

}  // namespace stampede::service
