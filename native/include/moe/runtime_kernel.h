/* Kernels compiled while the program runs, each for one size. A device that has taken one runs it in place of its own
 * kernel wherever it fits: same arguments, same checks, same stream. Only the CUDA backend takes any. */
#ifndef MOE_RUNTIME_KERNEL_H
#define MOE_RUNTIME_KERNEL_H

#include "moe/device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum moe_runtime_kind {
  MOE_RUNTIME_GATE = 0,      /* moe_gate_forward, dropless, for up to 64 tokens */
  MOE_RUNTIME_EXPERT = 1,    /* moe_expert_forward for up to 64 rows, with an activation that has no parameters */
  MOE_RUNTIME_ACTIVATION = 2 /* MOE_CUSTOM_ACTIVATION, forward and backward, which the device serves from then on */
} moe_runtime_kind;

/* What a kernel was compiled for. Fields that its kind has no word for are 0. */
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
  int32_t weights_dtype; /* expert: ... of the weights, row-major */
  int32_t y_dtype;       /* expert: ... of y and of the preactivation */
  int32_t reserved;      /* 0 */
  int64_t inner;         /* expert: K, a multiple of 8 */
} moe_runtime_kernel;

/* Hands the device a compiled image (a cubin for its architecture, or PTX), which it loads into its own context and
 * copies nothing of after the call. A kernel of the same description takes the place of an earlier one, for calls made
 * from then on; it must not be installed while another thread makes calls on the device. MOE_UNSUPPORTED on a backend
 * that takes none; MOE_INVALID_ARGUMENT where the description is not as above or the image is not one for this card;
 * MOE_OUT_OF_MEMORY where the card has no room for it. */
MOE_API moe_status moe_runtime_kernel_install(moe_device device, const moe_runtime_kernel* kernel, const void* image,
                                              int64_t image_bytes);

#ifdef __cplusplus
}
#endif
#endif
