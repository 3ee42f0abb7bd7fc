package panamoe.harness.bench;

import panamoe.harness.ComputeType;

/** One line of a table: what is measured, and how large. */
record Cell(Kind kind, LayerShape shape, int tokens, ComputeType dtype, int threads) {}
