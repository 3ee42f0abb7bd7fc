// An instance of the runtime kernel `gate`, in the namespace KERNEL_NAME.
namespace KERNEL_NAME {
#include "cuda/runtime_kernel/gate.cu"
}  // namespace KERNEL_NAME
#undef KERNEL_NAME
#undef KERNEL_EXPERTS
#undef KERNEL_TOP_K
#undef KERNEL_SCORE
#undef KERNEL_QUEUE_ORDER
#undef KERNEL_CHOSEN
