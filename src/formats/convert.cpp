#include "src/formats/convert.h"

#include <fcntl.h>
#include <unistd.h>

#include "src/base/seams.h"
#include "src/volume/run_tool.h"

namespace stampede::formats {

namespace fs = std::filesystem;

namespace {

Result<> make(const File& raw, Kind kind, const fs::path& file, const std::function<bool()>& interrupted) {
  const auto tool = volume::find_tool("qemu-img", "qemu-utils");
  if (!tool) return fail(Code::usage, "{}", tool.error().message);
  std::vector<std::string> arguments{
      "convert", "-f", "raw", "-O", name_of({kind, unpack::Packing::none}), std::string(volume::kToolFile), file.string()};
  STAMPEDE_TRY(const auto ran,
               volume::run_tool(*tool, std::move(arguments), raw, [&] { return !interrupted || !interrupted(); }));
  if (ran.status != 0) return fail(Code::write_failed, "qemu-img: {}", ran.last_line());
  STAMPEDE_TRY(const File made, File::open(file, O_RDWR));
  return made.sync();
}

}  // namespace

Result<Kind> output_kind(std::string_view declared, const fs::path& output) {
  STAMPEDE_TRY(const Format format, declared.empty() ? format_of(output.string()) : parse_format(declared));
  if (format.packing != unpack::Packing::none || format.kind == Kind::partclone)
    return fail(Code::usage, "nothing is exported as {}; there are raw, qcow2, vmdk, vhdx, vdi", name_of(format));
  return format.kind;
}

Result<> convert(const File& raw, Kind kind, const fs::path& output, const std::function<bool()>& interrupted) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(output, ignored)))
    return fail(Code::usage, "{} exists; name a new file", output.string());
  fs::path unfinished = output;
  unfinished += fmt::format(".{:016x}.part", system_random().number());
  auto made = make(raw, kind, fs::absolute(unfinished), interrupted);
  if (made) made = rename_to_new(unfinished, output);
  if (made) return {};
  ::unlink(unfinished.c_str());
  return pass(made.error(), fmt::format("exporting to {}", output.string()));
}

}  // namespace stampede::formats
