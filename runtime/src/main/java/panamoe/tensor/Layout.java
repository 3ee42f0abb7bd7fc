package panamoe.tensor;

/** {@code moe_layout} of the ABI, in its order. */
enum Layout {
  ROW_MAJOR,
  PACKED,
  /** Packed; rows that multiply its blocks are not rounded. */
  PACKED_EXACT
}
