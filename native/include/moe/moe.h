/* The whole C ABI, in the order of a token's way:
 * tokens -> embedding -> [ norm -> attention -> norm -> gate -> dispatch -> expert -> combine ] x L -> norm -> loss.
 *
 * What every kernel's call has in common: a stream that is none is MOE_INVALID_HANDLE. MOE_INVALID_ARGUMENT is a tensor
 * that is null, unless the call's comment allows that; one that is not row-major, unless it may be packed; one of
 * another dtype or shape than the comment says; and one that is written and shares memory with another of the call,
 * unless the comment says that it may be the same. What else a call refuses with MOE_INVALID_ARGUMENT, values inside
 * tensors included, its comment says. Scratch memory that is not to be had is MOE_OUT_OF_MEMORY, a card's failure
 * MOE_DEVICE_FAILED. Tensors of float32 or bfloat16 may be so in any mix where no comment asks for one dtype. */
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
#include "moe/dispatch.h"
#include "moe/expert.h"
#include "moe/combine.h"
#include "moe/loss.h"
#include "moe/optimizer.h"
#include "moe/runtime_kernel.h"

#endif
