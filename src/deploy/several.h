// Several disks of one machine in one deployment, with the same image or others.
//
// Before anything is written to one of them all are named, each another one, found possible and held. Then each is deployed
// to, the first of `all` last: a machine does not begin with its new system before its other disks have theirs. One after
// the other, so that it takes the memory of one. After a failure none is begun any more: those before are done, those after
// are as they were. Each gets its receipt, and they name one group.
#pragma once

#include "src/deploy/deployment.h"

namespace stampede::deploy {

// Does each lead to another disk? Errors: as disk::check_distinct().
Result<> check_distinct(const std::vector<Options>& all);

struct Outcomes {
  std::vector<Outcome> each;   // in the order of `all`
  std::optional<Error> error;  // nothing: success of all; else of the one that failed, with what became of the others
};

// `all` has the machine's own disk first, and one depot and state for all. Only that one serves others in the end. `done` as
// in deploy(), with the place in `all`.
Outcomes deploy_all(std::vector<Options> all, const std::function<void(std::size_t, const Outcome&)>& done);

}  // namespace stampede::deploy
