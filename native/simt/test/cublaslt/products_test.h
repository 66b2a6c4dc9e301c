#pragma once

// Tests the choice of algorithms on the fake cuBLASLt. Prints what is wrong, and returns how much that is.
int wrong_algorithms();
