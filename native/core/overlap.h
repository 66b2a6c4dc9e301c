// Whether two tensors share memory.
#pragma once

#include "view.h"

namespace nextpatch {

// Exact for the views that tensors have: what `narrow` leaves of a contiguous tensor. Where the answer would take too
// many steps, which takes two views of one tensor that were reshaped to different rows and then narrowed, it is yes.
bool overlap(const View& a, const View& b);

// Whether both are the same elements in the same order.
bool identical(const View& a, const View& b);

}  // namespace nextpatch
