# Adds up what the tests of .ci/run say of themselves: jest's "Tests: 1 failed, 7 passed, 8 total", and the lines of the
# other runners, "ok   name" or "FAIL name". Jest's own "FAIL file" is among its tests already.
/^Tests: / {
  for (i = 2; i <= NF; i++) {
    if ($i ~ /^passed,?$/) passed += $(i - 1)
    if ($i ~ /^failed,?$/) failed += $(i - 1)
  }
}
/^ok  / { passed++ }
/^FAIL / && !/\.test\.ts( \(.*\))?$/ { failed++ }
# What stops the run without a test that failed, such as a build, is a failure too.
END { printf "%d passed, %d failed\n", passed, failed == 0 && status != 0 ? 1 : failed }
