package panamoe.harness.plan;

import panamoe.tensor.DType;

/**
 * What serving and training both have options for; null for their defaults.
 *
 * @param batch sequences of each data rank of a server, or of a step of training
 * @param context tokens of a sequence
 * @param dtype of weights
 */
record Sizes(Long batch, Integer context, DType dtype) {}
