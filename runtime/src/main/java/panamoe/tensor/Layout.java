package panamoe.tensor;

/** {@code moe_layout} of the ABI, in its order. */
enum Layout {
  ROW_MAJOR,
  PACKED,
  /** Packed; rows that multiply its blocks are not rounded. */
  PACKED_EXACT,
  /** A stack of matrices that are packed one by one, in dtypes of their own. */
  PACKED_EACH
}
