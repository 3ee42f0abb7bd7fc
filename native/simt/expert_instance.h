// An instance of the runtime kernel `expert`, in the namespace KERNEL_NAME.
namespace KERNEL_NAME {
#include "cuda/runtime_kernel/expert.cu"
}  // namespace KERNEL_NAME
#undef KERNEL_NAME
#undef KERNEL_INNER
#undef KERNEL_ACTIVATION
#undef KERNEL_X
#undef KERNEL_W
#undef KERNEL_Y
