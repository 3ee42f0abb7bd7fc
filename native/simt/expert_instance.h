// One specialisation of the run-time expert kernel, in the namespace RTC_NAME.
namespace RTC_NAME {
#include "cuda/rtc/expert.cu"
}  // namespace RTC_NAME
#undef RTC_NAME
#undef RTC_INNER
#undef RTC_ACTIVATION
#undef RTC_X
#undef RTC_W
#undef RTC_Y
