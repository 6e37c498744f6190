// What an ErrorMessage from a depot means to a target: its code becomes the exit code of the command, so it is checked
// first.
#pragma once

#include "src/base/error.h"
#include "transport/wire/messages.h"

namespace stampede::net {

// A code that this version does not know, or 0: protocol. What only the depot's own machine can mend (its disk, its store, a
// bug of its): store_damaged. What is about trust, or passes, stays what it is; a depot that stops is unreachable.
Error remote_error(const wire::ErrorMessage& message);

// Waiting may cure it: the depot is asked again until the patience ends.
bool passes(const Error& error);
// No waiting cures it: trust, or no common language.
bool is_final(const Error& error);

}  // namespace stampede::net
