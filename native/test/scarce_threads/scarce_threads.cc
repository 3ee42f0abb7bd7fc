// For a test that preloads this library (LD_PRELOAD): the system grants libpanamoe.so PANAMOE_TEST_THREADS new threads
// and no more, whatever else the program starts.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

extern "C" __attribute__((visibility("default"))) int pthread_create(pthread_t* thread,
                                                                     const pthread_attr_t* attributes,
                                                                     void* (*main)(void*), void* argument) noexcept {
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const create = reinterpret_cast<Create*>(::dlsym(RTLD_NEXT, "pthread_create"));
  static std::atomic<int> granted{std::atoi(std::getenv("PANAMOE_TEST_THREADS"))};
  Dl_info caller{};
  const bool known = ::dladdr(__builtin_return_address(0), &caller) != 0;
  const bool ours = known && std::strstr(caller.dli_fname, "libpanamoe.so") != nullptr;
  if (ours && granted.fetch_sub(1) <= 0) return EAGAIN;
  return create(thread, attributes, main, argument);
}
