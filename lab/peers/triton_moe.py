"""Products of rows sorted by expert in Triton, as its fused MoE kernels compute them: each expert's rows are padded to
whole blocks, so that a block of the kernel has one expert.

On the CPU the same blocks are multiplied by PyTorch, which tests the tables.
"""
import torch

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

ROWS = 64  # per block
COLUMNS, DEPTH = 128, 64


class Blocks:
    """chosen [S, K]: `rows` holds choices s * K + k in the order of their experts, or S * K for padding; `expert` is a
    block's, or E for a block without rows. Their number depends only on sizes, so nothing waits for the GPU."""

    def __init__(self, chosen, experts):
        flat = chosen.flatten()
        self.count, self.experts = flat.numel(), experts
        most = -(-(self.count + min(self.count, experts) * (ROWS - 1)) // ROWS)
        order = torch.argsort(flat, stable=True)
        counts = torch.bincount(flat, minlength=experts)
        padded = (counts + ROWS - 1) // ROWS * ROWS
        shift = torch.cumsum(padded, 0) - padded - (torch.cumsum(counts, 0) - counts)
        self.rows = torch.full((most * ROWS,), self.count, dtype=torch.int32, device=flat.device)
        self.rows[torch.arange(self.count, device=flat.device) + shift[flat[order]]] = order.to(torch.int32)
        starts = torch.arange(most, device=flat.device) * ROWS
        self.expert = torch.searchsorted(torch.cumsum(padded, 0), starts, right=True).to(torch.int32)


if triton is not None:

    @triton.jit
    def product_kernel(x, w, factor, y, rows, expert, count, n, k, experts, DIVISOR: tl.constexpr,
                       SCALED: tl.constexpr, ROWS_: tl.constexpr, COLUMNS_: tl.constexpr, DEPTH_: tl.constexpr):
        block, e = tl.program_id(0), tl.load(expert + tl.program_id(0)).to(tl.int64)
        if e < experts:
            row = tl.load(rows + block * ROWS_ + tl.arange(0, ROWS_)).to(tl.int64)
            column = tl.program_id(1) * COLUMNS_ + tl.arange(0, COLUMNS_)
            total = tl.zeros((ROWS_, COLUMNS_), dtype=tl.float32)
            for start in range(0, k, DEPTH_):
                depth = start + tl.arange(0, DEPTH_)
                a = tl.load(x + (row // DIVISOR)[:, None] * k + depth[None, :],
                            mask=(row < count)[:, None] & (depth < k)[None, :], other=0.0)
                b = tl.load(w + e * n * k + column[None, :] * k + depth[:, None],
                            mask=(column < n)[None, :] & (depth < k)[:, None], other=0.0)
                total = tl.dot(a, b, total)
            if SCALED:
                total = total * tl.load(factor + row, mask=row < count, other=0.0)[:, None]
            tl.store(y + row[:, None] * n + column[None, :], total.to(y.dtype.element_ty),
                     mask=(row < count)[:, None] & (column < n)[None, :])


def product(x, w, blocks, divisor, factor=None):
    """y [S * K, N] with y[i] = factor[i] w[expert of i] x[i / divisor]; w [E, N, K']."""
    y = torch.empty(blocks.count, w.shape[1], dtype=x.dtype, device=x.device)
    if x.device.type == "cuda":
        grid = (blocks.expert.numel(), triton.cdiv(w.shape[1], COLUMNS))
        product_kernel[grid](x, w, y if factor is None else factor, y, blocks.rows, blocks.expert, blocks.count,
                             w.shape[1], w.shape[2], blocks.experts, divisor, factor is not None, ROWS, COLUMNS, DEPTH,
                             num_warps=4, num_stages=3)
        return y
    for block, expert in enumerate(blocks.expert.tolist()):
        row = blocks.rows[block * ROWS:(block + 1) * ROWS]
        row = row[row < blocks.count].long()
        if len(row):
            total = x[row // divisor].float() @ w[expert].float().T
            y[row] = (total if factor is None else total * factor[row, None]).to(y.dtype)
    return y
