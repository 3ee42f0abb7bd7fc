// Preloaded into a JVM under test: counts its system calls on one folder, and kills it at the n-th one, before, after
// or in the middle of it, or has that one, or all from there on, fail. Calls on other files, such as those by which the
// JVM loads its classes, neither count nor fail, so the n-th is the same call whenever the same Java code runs.
//
// Told and answered through a file that both sides have mapped (struct control; panamoe.testkit.Faults is the other
// side), so that one JVM can be disturbed many times. One thread of it may touch the folder at a time.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LOG_BYTES = 1 << 20, MOST_FILES = 4096, MOST_PATH = 4096 };
enum action { PASS, KILL_BEFORE, KILL_AFTER, KILL_AMID, FAIL_ONCE, FAIL_FROM };

struct control {
  int64_t action;
  int64_t at;    // the call that is meant, from 1
  int64_t error; // errno of one that fails
  int64_t count; // calls so far
  int64_t bytes; // of the log
  char folder[MOST_PATH];
  // A line for each call: r(ead), w(rite), o(pen), f(orce), m(ove), u(nlink), d(irectory), s(tat) or l(ist), and the
  // path below the folder; of a move the new one.
  char log[LOG_BYTES];
};

static struct control *control;
static char *watched[MOST_FILES]; // path of a descriptor

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("PANAMOE_FAULTS");
  int descriptor = file == NULL ? -1 : open(file, O_RDWR);
  if (descriptor >= 0) {
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    control = mapped == MAP_FAILED ? NULL : mapped;
    close(descriptor);
  }
}

static int meant(const char *path) {
  size_t length = control == NULL ? 0 : strlen(control->folder);
  return length > 0 && path != NULL && strncmp(path, control->folder, length) == 0 &&
         (path[length] == '/' || path[length] == 0);
}

static const char *pathOf(int descriptor) {
  return descriptor >= 0 && descriptor < MOST_FILES ? watched[descriptor] : NULL;
}

static void watch(int descriptor, const char *path) {
  if (descriptor >= 0 && descriptor < MOST_FILES) {
    free(watched[descriptor]);
    watched[descriptor] = path == NULL ? NULL : strdup(path);
  }
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) {
    pause();
  }
}

// Counts a call that is about to be made. Returns what to do with it; a failing one has errno set.
static enum action next(char what, const char *path) {
  int64_t number = ++control->count;
  const char *below = path + strlen(control->folder);
  size_t length = strlen(below);
  if (control->bytes + (int64_t)length + 2 <= LOG_BYTES) {
    char *line = control->log + control->bytes;
    line[0] = what;
    memcpy(line + 1, below, length);
    line[length + 1] = '\n';
    control->bytes += (int64_t)length + 2;
  }
  enum action action = (enum action)control->action;
  if (action == FAIL_FROM ? number < control->at : number != control->at) {
    return PASS;
  }
  if (action == KILL_BEFORE) {
    die();
  }
  errno = (int)control->error;
  return action;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// Makes a call unless it is to fail, and dies after it if it is to.
#define CALL(path, what, failed, type, call)                        \
  const char *concerned = path;                                     \
  if (concerned == NULL || !meant(concerned)) {                     \
    return call;                                                    \
  }                                                                 \
  enum action action = next(what, concerned);                       \
  if (action == FAIL_ONCE || action == FAIL_FROM) {                 \
    return failed;                                                  \
  }                                                                 \
  type result = call;                                               \
  if (action == KILL_AFTER || action == KILL_AMID) {                \
    die();                                                          \
  }                                                                 \
  return result

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  CALL(path, 'o', -1, int, real(path, flags, mode));
}

#define OPEN(name)                                                  \
  int name(const char *path, int flags, ...) {                      \
    va_list more;                                                   \
    va_start(more, flags);                                          \
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0; \
    va_end(more);                                                   \
    if (!meant(path)) {                                             \
      int other = REAL(name)(path, flags, mode);                    \
      watch(other, NULL);                                              \
      return other;                                                 \
    }                                                               \
    int descriptor = opened(REAL(name), path, flags, mode);         \
    watch(descriptor, path);                                           \
    return descriptor;                                              \
  }
OPEN(open)
OPEN(open64)

int close(int descriptor) {
  watch(descriptor, NULL);
  return REAL(close)(descriptor);
}

ssize_t read(int descriptor, void *buffer, size_t bytes) {
  CALL(pathOf(descriptor), 'r', -1, ssize_t, REAL(read)(descriptor, buffer, bytes));
}

ssize_t pread64(int descriptor, void *buffer, size_t bytes, off64_t offset) {
  CALL(pathOf(descriptor), 'r', -1, ssize_t, REAL(pread64)(descriptor, buffer, bytes, offset));
}

ssize_t write(int descriptor, const void *buffer, size_t bytes) {
  if (pathOf(descriptor) != NULL && control->action == KILL_AMID && control->count + 1 == control->at) {
    REAL(write)(descriptor, buffer, bytes / 2);
    die();
  }
  CALL(pathOf(descriptor), 'w', -1, ssize_t, REAL(write)(descriptor, buffer, bytes));
}

int fsync(int descriptor) { CALL(pathOf(descriptor), 'f', -1, int, REAL(fsync)(descriptor)); }

int fdatasync(int descriptor) { CALL(pathOf(descriptor), 'f', -1, int, REAL(fdatasync)(descriptor)); }

int rename(const char *from, const char *to) { CALL(meant(from) ? to : NULL, 'm', -1, int, REAL(rename)(from, to)); }

int unlink(const char *path) { CALL(path, 'u', -1, int, REAL(unlink)(path)); }

int rmdir(const char *path) { CALL(path, 'u', -1, int, REAL(rmdir)(path)); }

int mkdir(const char *path, mode_t mode) { CALL(path, 'd', -1, int, REAL(mkdir)(path, mode)); }

DIR *opendir(const char *path) { CALL(path, 'l', NULL, DIR *, REAL(opendir)(path)); }

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *found) {
  CALL(path, 's', -1, int, REAL(statx)(folder, path, flags, mask, found));
}

int stat64(const char *path, struct stat64 *found) { CALL(path, 's', -1, int, REAL(stat64)(path, found)); }

int lstat64(const char *path, struct stat64 *found) { CALL(path, 's', -1, int, REAL(lstat64)(path, found)); }
