// Calls of native tests: what a GPU's call did shows when its stream is waited for.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "moe/moe.h"

namespace moe::testing {

// Streams of this thread's test. A GPU's calls return before their work is done. Who takes a tensor's descriptor may
// give it to a call, so the first access to an element after that waits. Without that a test would compare what a
// kernel has not written yet.
struct Streams {
  std::vector<moe_stream> all;
  bool busy = false;
  moe_status failure = MOE_OK;  // of the last wait that failed; its message stays too

  void settle() {
    if (!std::exchange(busy, false)) return;
    for (const moe_stream stream : all) {
      const moe_status status = moe_stream_synchronize(stream);
      if (status != MOE_OK && status != MOE_INVALID_HANDLE) failure = status;  // a closed stream has no work
    }
  }
  // Notes a call.
  moe_status started(moe_status status) {
    busy = true;
    return status;
  }
  // The outcome of a call, as waiting shows it.
  moe_status outcome(moe_status status) {
    if (started(status) == MOE_OK) settle();
    return status == MOE_OK ? std::exchange(failure, MOE_OK) : status;
  }
};
inline thread_local Streams streams_of_test;

inline std::string last_error() {
  std::string text(static_cast<size_t>(moe_last_error(nullptr, 0)), '\0');
  moe_last_error(text.data(), static_cast<int64_t>(text.size()));
  text.pop_back();
  return text;
}

#define EXPECT_MOE_OK(call) \
  EXPECT_EQ(::moe::testing::streams_of_test.started(call), MOE_OK) << ::moe::testing::last_error()
#define ASSERT_MOE_OK(call) \
  ASSERT_EQ(::moe::testing::streams_of_test.started(call), MOE_OK) << ::moe::testing::last_error()
// Expects the call to be refused with this status and a message that contains this text. A GPU sees an illegal value of
// a tensor only when it runs the call. Calls before it were valid.
#define EXPECT_MOE_REFUSED(expected_status, text, call)                                                    \
  do {                                                                                                     \
    ::moe::testing::streams_of_test.settle();                                                              \
    EXPECT_EQ(::moe::testing::streams_of_test.failure, MOE_OK) << ::moe::testing::last_error();            \
    EXPECT_EQ(::moe::testing::streams_of_test.outcome(call), expected_status) << #call;                    \
    EXPECT_NE(::moe::testing::last_error().find(text), std::string::npos) << ::moe::testing::last_error(); \
  } while (false)

}  // namespace moe::testing
