/* The whole C ABI, in the order of a token's way:
 * tokens -> embedding -> [ norm -> attention -> norm -> gate -> dispatch -> expert -> combine ] x L -> norm -> loss. */
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
