package panamoe.model.family;

import java.util.List;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.rows.HeadRows;
import panamoe.checkpoint.rows.JoinedRows;
import panamoe.checkpoint.rows.Mxfp4Rows;
import panamoe.checkpoint.rows.RowSource;
import panamoe.checkpoint.rows.SteppedRows;
import panamoe.checkpoint.rows.TransposedRows;

/**
 * How a weight's rows come from stored tensors. Names of tensors are as {@link Lookup} takes them.
 */
@FunctionalInterface
interface Recipe {
  /**
   * @throws panamoe.checkpoint.CheckpointException if a tensor is missing
   */
  RowSource of(Lookup files);

  /** A tensor as it is. */
  static Recipe tensor(String name) {
    return files -> files.matrix(name);
  }

  /** The rows of two tensors with as many each: of a SwiGLU's two halves. */
  static Recipe joined(String first, String second) {
    return joined(tensor(first), tensor(second));
  }

  /** As above, of recipes. */
  static Recipe joined(Recipe first, Recipe second) {
    return files -> {
      RowSource above = first.of(files);
      RowSource below = second.of(files);
      if (above.rows() != below.rows()) {
        throw new CheckpointException(
            String.join(" and ", files.used())
                + " have "
                + above.rows()
                + " and "
                + below.rows()
                + " rows, expected as many");
      }
      return new JoinedRows(List.of(above, below));
    };
  }

  /** An expert's part of a tensor that stacks all. */
  static Recipe stacked(String name) {
    return files -> files.part(name);
  }

  /** An expert of MXFP4 in two tensors: {@code name_blocks} and {@code name_scales}. */
  static Recipe mxfp4(String name) {
    return files -> new Mxfp4Rows(files.bytes(name + "_blocks"), files.bytes(name + "_scales"));
  }

  /**
   * For a stack [H, K, N]: the first N rows of each head of a matrix [H * D, K], transposed, such
   * as DeepSeek's keys, which are stored beside the values.
   */
  static Recipe keysOfHeads(String name) {
    return files -> {
      long[] shape = files.shape();
      return new HeadRows(files.heads(name), shape[0], 0, shape[2], true);
    };
  }

  /** For a stack [H, N, K]: the last N rows of each head of a matrix [H * D, K]. */
  static Recipe valuesOfHeads(String name) {
    return files -> {
      long[] shape = files.shape();
      RowSource all = files.heads(name);
      return new HeadRows(all, shape[0], all.rows() / shape[0] - shape[1], shape[1], false);
    };
  }

  /** The first recipe if there is a tensor of that name, else the second. */
  static Recipe either(String name, Recipe first, Recipe second) {
    return files -> (files.has(name) ? first : second).of(files);
  }

  /** With rows and columns exchanged: of a matrix that is stored [in, out]. */
  default Recipe transposed() {
    return files -> new TransposedRows(of(files));
  }

  /** With rows 0, 2, ... before rows 1, 3, ...: of two matrices whose rows lie in turn. */
  default Recipe deinterleaved() {
    return files -> {
      RowSource rows = of(files);
      return new JoinedRows(List.of(new SteppedRows(rows, 0, 2), new SteppedRows(rows, 1, 2)));
    };
  }
}
