// How exact the host's arithmetic is. NEXTPATCH_SIMT_MATH=exact (the default) rounds as IEEE 754 says; =hardware is as
// loose as a GPU may be: approximate functions are off by up to their documented error, tensor cores truncate the terms
// of a sum to the largest, and products add in another order. A result that holds under both does not lean on bits that
// a GPU does not promise.
#pragma once

namespace nextpatch::simt {

// Whether the arithmetic is as loose as the hardware's. Ends the process if the variable holds something else.
bool hardware_math();

// `exact`, off by up to `ulps` in a way that is the same for the same argument `x`.
float approximate(float exact, float x, int ulps);

// What a tensor core adds up: `addend` and `count` products, each truncated to 24 bits below the largest, their sum
// truncated to f32. (Fasi, Higham, Mikaitis, Pranesh: "Numerical behavior of NVIDIA tensor cores", 2021.)
float truncated_sum(float addend, const double* products, int count);

}  // namespace nextpatch::simt
