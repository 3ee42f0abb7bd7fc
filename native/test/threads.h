// Lets the system run out of threads.
#pragma once

namespace moe::testing {

// While it lives, the process is granted so many new threads and no more, by whoever in it asks.
class ScarceThreads {
 public:
  explicit ScarceThreads(int granted);
  ~ScarceThreads();
  ScarceThreads(const ScarceThreads&) = delete;
  ScarceThreads& operator=(const ScarceThreads&) = delete;
};

}  // namespace moe::testing
