// Makes one system call of a process go wrong, for test/faults: loaded with LD_PRELOAD.
//
//   NEXTPATCH_INJECT=N:ACTION:PREFIX
//
// Counts the calls that change files whose path begins with PREFIX: opening to write, writing, cutting, syncing, renaming,
// deleting, making folders. At the N-th, ACTION is
//   kill   the process is killed before it
//   half   half of what it writes is written, then the process is killed
//   torn   half of what it writes is written, and it says so: no fault, but a rare outcome
//   a number: it fails with this errno, and so does every later one; a negative one: only this call fails
//   count  nothing happens
// At its end, and before it is killed, the process writes the number of calls so far to the file NEXTPATCH_INJECTED.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static long wanted;
static char action[16];
static char prefix[PATH_MAX];
static ssize_t (*real_write)(int, const void*, size_t);
static int (*real_open)(const char*, int, ...);

static void report(void) {
  const char* path = getenv("NEXTPATCH_INJECTED");
  if (!path || !real_open) return;
  char text[32];
  const int length = snprintf(text, sizeof text, "%ld\n", atomic_load(&calls));
  const int file = real_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) return;
  if (real_write(file, text, (size_t)length) < 0) return;
  close(file);
}

__attribute__((constructor)) static void begin(void) {
  real_write = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  real_open = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open");
  const char* spec = getenv("NEXTPATCH_INJECT");
  if (spec) sscanf(spec, "%ld:%15[^:]:%4095s", &wanted, action, prefix);
}
__attribute__((destructor)) static void end(void) { report(); }

static void die(void) {
  report();
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

enum outcome { go_on, fail, half };

// Counts a call on a path, and says what becomes of it.
static enum outcome met(const char* path) {
  if (!prefix[0] || strncmp(path, prefix, strlen(prefix)) != 0) return go_on;
  const long number = atomic_fetch_add(&calls, 1) + 1;
  if (wanted == 0 || number < wanted) return go_on;
  const int code = atoi(action);
  if (code > 0) {
    errno = code;
    return fail;
  }
  if (number != wanted) return go_on;
  if (code < 0) {
    errno = -code;
    return fail;
  }
  if (strcmp(action, "kill") == 0) die();
  return strcmp(action, "half") == 0 || strcmp(action, "torn") == 0 ? half : go_on;
}

static enum outcome met_at(int folder, const char* path) {
  char whole[2 * PATH_MAX];
  if (path[0] == '/') return met(path);
  char of[64];
  snprintf(of, sizeof of, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
  ssize_t length = readlink(of, whole, PATH_MAX);
  if (length < 0) return go_on;
  snprintf(whole + length, sizeof whole - (size_t)length, "/%s", path);
  return met(whole);
}

static enum outcome met_file(int file) {
  char of[64], path[PATH_MAX];
  snprintf(of, sizeof of, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(of, path, sizeof path - 1);
  if (length < 0) return go_on;
  path[length] = 0;
  return met(path);
}

#define REAL(type, name) ((type)dlsym(RTLD_NEXT, #name))
#define ON_PATH(name, parameters, arguments, at)                               \
  int name parameters {                                                        \
    if (at == fail) return -1;                                                 \
    return REAL(int(*) parameters, name) arguments;                            \
  }

ON_PATH(rename, (const char* from, const char* to), (from, to), met_at(AT_FDCWD, to))
ON_PATH(unlink, (const char* path), (path), met_at(AT_FDCWD, path))
ON_PATH(rmdir, (const char* path), (path), met_at(AT_FDCWD, path))
ON_PATH(mkdir, (const char* path, mode_t mode), (path, mode), met_at(AT_FDCWD, path))
ON_PATH(link, (const char* from, const char* to), (from, to), met_at(AT_FDCWD, to))
ON_PATH(ftruncate, (int file, off_t size), (file, size), met_file(file))
ON_PATH(ftruncate64, (int file, off64_t size), (file, size), met_file(file))
ON_PATH(fsync, (int file), (file), met_file(file))
ON_PATH(fdatasync, (int file), (file), met_file(file))

static int opened(const char* name, const char* path, int flags, mode_t mode) {
  const int writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  if (writes && met_at(AT_FDCWD, path) == fail) return -1;
  return ((int (*)(const char*, int, ...))dlsym(RTLD_NEXT, name))(path, flags, mode);
}
#define OPEN(name)                                                             \
  int name(const char* path, int flags, ...) {                                 \
    va_list rest;                                                              \
    va_start(rest, flags);                                                     \
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                              \
    return opened(#name, path, flags, mode);                                   \
  }
OPEN(open)
OPEN(open64)

// Half of a write; `half` is followed by the end of the process.
#define ON_WRITE(name, parameters, whole, part)                                \
  ssize_t name parameters {                                                    \
    const enum outcome outcome = met_file(file);                               \
    if (outcome == fail) return -1;                                            \
    if (outcome == go_on) return REAL(ssize_t(*) parameters, name) whole;      \
    const ssize_t written = REAL(ssize_t(*) parameters, name) part;            \
    if (strcmp(action, "half") == 0) die();                                    \
    return written;                                                            \
  }
#define HALF(size) ((size) > 1 ? (size) / 2 : (size))
ON_WRITE(write, (int file, const void* data, size_t size), (file, data, size), (file, data, HALF(size)))
ON_WRITE(pwrite, (int file, const void* data, size_t size, off_t at), (file, data, size, at), (file, data, HALF(size), at))
ON_WRITE(pwrite64, (int file, const void* data, size_t size, off64_t at), (file, data, size, at),
         (file, data, HALF(size), at))
ON_WRITE(writev, (int file, const struct iovec* parts, int count), (file, parts, count), (file, parts, HALF(count)))
