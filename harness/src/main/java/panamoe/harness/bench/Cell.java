package panamoe.harness.bench;

import panamoe.harness.ComputeType;

/** One line of the table: what is measured, and at what size. */
record Cell(Kind kind, LayerShape shape, int tokens, ComputeType dtype, int threads) {}
