// From a raw disk to an image file for virtual machine monitors.
#pragma once

#include <filesystem>
#include <functional>

#include "src/base/file.h"
#include "src/formats/format.h"

namespace stampede::formats {

// By --format, or else the end of the output's name. Error: usage, where nothing is written in that format (packed ones,
// partclone).
Result<Kind> output_kind(std::string_view declared, const std::filesystem::path& output);

// Makes `output`, a new file, through qemu-img: with what is data in `raw` and nothing else, flushed. It has another name in
// the same folder until then; a failure removes it. `interrupted` is asked often. Errors: usage, where `output` exists or
// there is no qemu-img; write_failed, interrupted.
Result<> convert(const File& raw, Kind kind, const std::filesystem::path& output, const std::function<bool()>& interrupted);

}  // namespace stampede::formats
