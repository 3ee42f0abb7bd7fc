// One specialisation of the run-time gate, in the namespace RTC_NAME.
namespace RTC_NAME {
#include "cuda/rtc/gate.cu"
}  // namespace RTC_NAME
#undef RTC_NAME
#undef RTC_EXPERTS
#undef RTC_TOP_K
#undef RTC_SCORE
#undef RTC_QUEUE_ORDER
#undef RTC_CHOSEN
