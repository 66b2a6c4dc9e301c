#pragma once

// Tests the choice of algorithms on the fake cuBLASLt; counts and prints what is wrong (check.h).
void test_algorithms();
