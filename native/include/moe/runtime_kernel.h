/* Kernels compiled at run time, each for one size. A device runs an installed kernel instead of its own wherever it
 * fits: same arguments, same checks, same stream. Only the CUDA backend accepts any. */
#ifndef MOE_RUNTIME_KERNEL_H
#define MOE_RUNTIME_KERNEL_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moe_runtime_kind {
  MOE_RUNTIME_GATE = 0,      /* moe_gate_forward, dropless, for up to 64 tokens */
  MOE_RUNTIME_EXPERT = 1,    /* moe_expert_forward with an activation that has no parameters */
  MOE_RUNTIME_ACTIVATION = 2 /* MOE_CUSTOM_ACTIVATION, forward and backward */
} moe_runtime_kind;

/* The sizes and types that a kernel was compiled for. Fields that do not belong to its kind are 0. */
typedef struct moe_runtime_kernel {
  uint32_t struct_size;
  int32_t kind;          /* moe_runtime_kind */
  int32_t experts;       /* gate: 1..1024 */
  int32_t top_k;         /* gate: 1..16, at most `experts` */
  int32_t score;         /* gate: moe_score */
  int32_t queue_order;   /* gate: moe_queue_order */
  int32_t chosen;        /* gate: 1 weights divided by the sum over the chosen, 0 raw */
  int32_t activation;    /* expert: moe_activation or MOE_CUSTOM_ACTIVATION */
  int32_t x_dtype;       /* expert: moe_dtype of x, float32 or bfloat16 */
  int32_t weights_dtype; /* expert: moe_dtype of the weights, row-major */
  int32_t y_dtype;       /* expert: moe_dtype of y and of the preactivation */
  int32_t reserved;      /* 0 */
  int64_t inner;         /* expert: K, a multiple of 8 */
} moe_runtime_kernel;

/* Gives the device a compiled image (a cubin for its architecture, or PTX), which it loads into its own context; the
 * caller may free the image after the call. Later calls use this kernel instead of an earlier one of the same
 * description. No other thread may call the device during the installation. MOE_UNSUPPORTED on a backend without
 * run-time kernels; MOE_INVALID_ARGUMENT for a bad description or an image for another GPU; MOE_OUT_OF_MEMORY if the
 * GPU has no room for it. */
MOE_API moe_status moe_runtime_kernel_install(moe_device device, const moe_runtime_kernel* kernel, const void* image,
                                              int64_t image_bytes);

#ifdef __cplusplus
}
#endif
#endif
