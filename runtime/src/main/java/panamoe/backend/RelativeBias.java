package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * A bias of scores by relative position (T5): {@code bias[clamp(j - i, -R, R) + R, h]} is added to
 * the scaled score of query head h at position i and the key at position j.
 *
 * @param bias FLOAT32 [2R + 1, H]
 * @param position INT32 [S], i of each row
 */
public record RelativeBias(Tensor bias, Tensor position) {}
