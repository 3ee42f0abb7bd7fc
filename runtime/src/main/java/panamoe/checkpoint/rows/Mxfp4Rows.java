package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredType;
import panamoe.tensor.DType;

/**
 * Rows in MXFP4 as GPT-OSS was released in it: 32 values share an exponent, and a byte has value 2i
 * in its low, value 2i + 1 in its high bits.
 *
 * @param blocks UINT8, half a byte for each value
 * @param scales UINT8, exponents with a bias of 127, one for each 32 values
 */
public record Mxfp4Rows(RowSource blocks, RowSource scales) implements RowSource {
  private static final int BLOCK = 32;

  public Mxfp4Rows {
    if (blocks.rows() != scales.rows() || 2 * blocks.columns() != BLOCK * scales.columns()) {
      throw new CheckpointException(
          "MXFP4 blocks of %s rows of %s bytes do not fit scales of %s rows of %s",
          blocks.rows(), blocks.columns(), scales.rows(), scales.columns());
    }
  }

  @Override
  public DType dtype() {
    return DType.FLOAT32;
  }

  @Override
  public long rows() {
    return blocks.rows();
  }

  @Override
  public long columns() {
    return 2 * blocks.columns();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    new DecodedBlocks(StoredType.MXFP4, new Mxfp4Blocks(this)::read)
        .read(row, rows, column, columns, into);
  }

  @Override
  public Optional<RowSource> inBlocks() {
    return Optional.of(new Mxfp4Blocks(this));
  }
}
