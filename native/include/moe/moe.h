/* The whole C ABI, in the order in which a token meets it:
 * tokens -> embedding -> [ norm -> attention -> norm -> gate -> dispatch -> exchange -> expert -> combine ] x L -> norm
 * -> loss.
 *
 * Rules of every kernel call. Passing a null or destroyed stream returns MOE_INVALID_HANDLE. MOE_INVALID_ARGUMENT
 * means: a tensor or struct is null and the call's comment does not allow it; a tensor is not row-major and may not be
 * packed; its dtype or shape differs from the comment; or an output shares memory with another tensor and the comment
 * does not allow the alias. The comment lists what else the call refuses, including values inside tensors. A call
 * returns MOE_OUT_OF_MEMORY if it gets no scratch memory and MOE_DEVICE_FAILED if the GPU fails. float32 and bfloat16
 * mix freely unless a comment asks for one dtype.
 *
 * A call takes at most seven arguments and MOE_HELD. Arguments that belong together are one struct, passed by pointer
 * and copied before the call returns. It begins with struct_size, its sizeof; numbers follow; pointers to tensors come
 * last. A member that a call does not use is ignored and may be null. */
#ifndef MOE_MOE_H
#define MOE_MOE_H

#include "moe/status.h"
#include "moe/tensor.h"
#include "moe/device.h"
#include "moe/elementwise.h"
#include "moe/embedding.h"
#include "moe/norm.h"
#include "moe/attention.h"
#include "moe/gemm.h"
#include "moe/gate.h"
#include "moe/balance.h"
#include "moe/dispatch.h"
#include "moe/exchange.h"
#include "moe/expert.h"
#include "moe/combine.h"
#include "moe/loss.h"
#include "moe/optimizer.h"
#include "moe/sample.h"
#include "moe/runtime_kernel.h"

#endif
