// stampede: turns one template disk image into many running machines. This file is the table of contents.
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "tools/stampede/command.h"
#include "tools/stampede/version.h"

namespace {

using namespace stampede;  // NOLINT(google-build-using-namespace): the program itself

// A connection is a descriptor, and so is a pack of the store: the usual soft limit of 1024 would be the store's.
void raise_descriptor_limit() {
  constexpr rlim_t kEnough = 1 << 18;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kEnough));
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void prepare_process() {
  std::signal(SIGCHLD, SIG_DFL);  // ignored, as a parent may have left it, no tool's exit status would be known
  raise_descriptor_limit();
  // Spans come and go by the megabyte: without this each would be mapped and faulted in anew.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("stampede"));
  // Over a line of progress, where there may be one.
  spdlog::set_pattern(std::string(::isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "") + "%Y-%m-%dT%H:%M:%S.%e %l %v");
}

int run(int argc, char** argv) {
  CLI::App app{"Turns one template disk image into many running machines: packages it, serves it, writes it to disks."};
  app.set_version_flag("--version", std::string("stampede ") + STAMPEDE_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Example: stampede image import debian.img debian:12; stampede serve\n"
      "Exit codes: 0 done, 1 internal, 2 usage, 10-29 refused, 30-39 trust, 40-49 retryable, 50-59 disk, 60-69 store.");
  tools::Action action;
  tools::add_image(app, action);
  tools::add_store(app, action);
  tools::add_serve(app, action);
  tools::add_token(app, action);
  tools::add_deploy(app, action);
  tools::add_multicast(app, action);
  tools::add_disks(app, action);
  tools::add_drift(app, action);
  tools::add_disk(app, action);
  tools::add_receipt(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Code::usage);
  }
  Result<> result = action();
  if (result) result = tools::finish_output();
  if (result) return 0;
  // A message of one line, whatever it carries from outside.
  std::string message = result.error().message;
  for (char& c : message)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  tools::note(fmt::format("stampede: {} [{}]", message, name_of(result.error().code)));
  return static_cast<int>(result.error().code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    prepare_process();
    return run(argc, argv);
  } catch (const std::exception& bug) {
    std::fputs(bug.what(), stderr);
    std::fputs("\nstampede: this is a bug of stampede itself [internal]\n", stderr);
    return static_cast<int>(stampede::Code::internal);
  }
}
