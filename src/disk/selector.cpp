#include <array>

#include "src/base/text.h"
#include "src/disk/guard.h"

namespace stampede::disk {

namespace {
struct Form {
  Selector::Kind kind;
  std::string_view prefix;
  std::string_view start;  // of the value
};
constexpr std::array<Form, 4> kForms{{{Selector::Kind::serial, "serial:", ""},
                                      {Selector::Kind::wwn, "wwn:", ""},
                                      {Selector::Kind::dev, "dev:", "/dev/"},
                                      {Selector::Kind::file, "file:", "/"}}};
}  // namespace

std::string Selector::text() const {
  for (const Form& form : kForms)
    if (form.kind == kind) return std::string(form.prefix) + value;
  return value;
}

Result<Selector> Selector::parse(std::string_view text) {
  for (const Form& form : kForms) {
    if (!text.starts_with(form.prefix)) continue;
    const std::string_view value = text.substr(form.prefix.size());
    const bool clean = printable(value) == value;  // it is shown on terminals and stands in receipts
    if (value.size() <= form.start.size() || !value.starts_with(form.start) || !clean) break;
    return Selector{form.kind, std::string(value)};
  }
  return fail(
      Code::usage,
      "'{}' does not name a disk: say serial:NUMBER, wwn:NAME, dev:/dev/PATH or file:/ABSOLUTE/PATH ('stampede disks' "
      "lists them)",
      printable(text));
}

}  // namespace stampede::disk
