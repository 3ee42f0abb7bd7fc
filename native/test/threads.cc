// pthread_create that counts, then calls glibc's. This program's symbols come before glibc's for every library of the
// process.
#include "test/threads.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>

namespace {
constexpr int kPlenty = 1 << 30;
std::atomic<int> granted{kPlenty};
}  // namespace

moe::testing::ScarceThreads::ScarceThreads(int threads) { granted = threads; }
moe::testing::ScarceThreads::~ScarceThreads() { granted = kPlenty; }

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*main)(void*),
                              void* argument) noexcept {
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const create = reinterpret_cast<Create*>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (granted.fetch_sub(1) <= 0) return EAGAIN;
  return create(thread, attributes, main, argument);
}
