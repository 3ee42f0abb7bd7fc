// Limits the threads that the system grants.
#pragma once

namespace moe::testing {

// While it lives, the process can start only this many new threads, whoever starts them.
class ScarceThreads {
 public:
  explicit ScarceThreads(int granted);
  ~ScarceThreads();
  ScarceThreads(const ScarceThreads&) = delete;
  ScarceThreads& operator=(const ScarceThreads&) = delete;
};

}  // namespace moe::testing
