package panamoe.model.family;

import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.rows.HeadRows;
import panamoe.checkpoint.rows.JoinedRows;
import panamoe.checkpoint.rows.OffsetRows;
import panamoe.checkpoint.rows.PairedRows;
import panamoe.checkpoint.rows.ReorderedRows;
import panamoe.checkpoint.rows.RowRange;
import panamoe.checkpoint.rows.StridedRows;
import panamoe.checkpoint.rows.TransposedRows;
import panamoe.config.GroupedQueryConfig;

/** How a weight's rows are made of stored tensors, and back. {@link Lookup} defines the names. */
interface Recipe {
  /**
   * The weight's rows.
   *
   * @throws panamoe.checkpoint.CheckpointException if a tensor is missing
   */
  RowSource of(Lookup files);

  /** Stores the rows of a weight in the tensors that {@link #of} reads. */
  void give(RowSource rows, Placement to);

  /** Reads a tensor, and places it. */
  private static Recipe by(
      Function<Lookup, RowSource> read, BiConsumer<Placement, RowSource> write) {
    return new Recipe() {
      @Override
      public RowSource of(Lookup files) {
        return read.apply(files);
      }

      @Override
      public void give(RowSource rows, Placement to) {
        write.accept(to, rows);
      }
    };
  }

  /** A tensor, unchanged. */
  static Recipe tensor(String name) {
    return by(files -> files.matrix(name), (to, rows) -> to.matrix(name, rows));
  }

  /** A vector, as a matrix of one row. */
  static Recipe row(String name) {
    return by(files -> files.row(name), (to, rows) -> to.row(name, rows));
  }

  /** A vector that is stored as a matrix of one row. */
  static Recipe flat(String name) {
    return by(files -> new TransposedRows(files.matrix(name)), (to, rows) -> to.flat(name, rows));
  }

  /** Queries, keys or values of a tensor that stores all three, one behind the other. */
  static Recipe fused(String name, Fused part) {
    return by(files -> files.fused(name, part), (to, rows) -> to.fused(name, part, rows));
  }

  /** Parts of a matrix or vector [(H + 2 G) D, ...]. */
  enum Fused {
    QUERY,
    KEY,
    VALUE;

    /** Rows before the part. */
    long first(GroupedQueryConfig.Heads heads) {
      return this == QUERY
          ? 0
          : (long) heads.size() * (heads.query() + (this == VALUE ? heads.keyValue() : 0));
    }
  }

  /** A stack with the weight's shape; each matrix is a row. */
  static Recipe stack(String name) {
    return by(files -> files.stack(name), (to, rows) -> to.stack(name, rows));
  }

  /** The rows of two tensors of equal size, such as the halves of a SwiGLU. */
  static Recipe joined(String first, String second) {
    return joined(tensor(first), tensor(second));
  }

  /** The rows of one recipe, then those of another. */
  static Recipe joined(Recipe first, Recipe second) {
    return by(
        files -> {
          RowSource above = first.of(files);
          RowSource below = second.of(files);
          if (above.rows() != below.rows()) {
            throw new CheckpointException(
                "%s have %s and %s rows, expected as many",
                String.join(" and ", files.used()), above.rows(), below.rows());
          }
          return new JoinedRows(List.of(above, below));
        },
        (to, rows) -> {
          long half = rows.rows() / 2;
          first.give(new RowRange(rows, 0, half), to);
          second.give(new RowRange(rows, half, half), to);
        });
  }

  /** An expert's part of a stack. */
  static Recipe stacked(String name) {
    return by(files -> files.part(name), (to, rows) -> to.part(name, rows));
  }

  /** An expert's part of a stack, whose factors are another weight. */
  static Recipe unscaled(String name) {
    return by(files -> files.storedPart(name), (to, rows) -> to.part(name, rows));
  }

  /** An expert in blocks, in two tensors: {@code name_blocks} and {@code name_scales}. */
  static Recipe blocks(String name) {
    return by(
        files -> new PairedRows(files.bytes(name + "_blocks"), files.bytes(name + "_scales")),
        (_, _) -> {
          throw new IllegalStateException(name + " is placed as a float tensor");
        });
  }

  /**
   * For a stack [H, K, N]: the first N rows of each head of a matrix [H * D, K], transposed, such
   * as DeepSeek's keys, which are stored with the values.
   */
  static Recipe keysOfHeads(String name) {
    return by(
        files -> {
          long[] shape = files.shape();
          return new HeadRows(files.heads(name), shape[0], 0, shape[2], true);
        },
        (to, rows) -> to.keysOfHeads(name, rows));
  }

  /** For a stack [H, N, K]: the last N rows of each head of a matrix [H * D, K]. */
  static Recipe valuesOfHeads(String name) {
    return by(
        files -> {
          long[] shape = files.shape();
          RowSource all = files.heads(name);
          return new HeadRows(all, shape[0], all.rows() / shape[0] - shape[1], shape[1], false);
        },
        (to, rows) -> to.valuesOfHeads(name, rows));
  }

  /**
   * The first recipe if there is a tensor of that name, else the second; the second also places.
   */
  static Recipe either(String name, Recipe first, Recipe second) {
    return by(
        files -> (files.has(name) ? first : second).of(files), (to, rows) -> second.give(rows, to));
  }

  /**
   * The first recipe if there is a tensor of that name, else the second, which published files
   * have: transformers 5 has the first in its modules, which adapters name.
   */
  static Recipe inModules(String name, Recipe ofModules, Recipe published) {
    return by(
        files -> (files.has(name) ? ofModules : published).of(files),
        (to, rows) -> (to.modules() ? ofModules : published).give(rows, to));
  }

  /** The queries of latent attention: of the token, or of a latent if there is one. */
  static Recipe latentQuery(String direct, String ofLatent) {
    return by(
        files -> files.matrix(files.hasMatrix(direct) ? direct : ofLatent),
        (to, rows) -> to.matrix(to.latentQuery() ? ofLatent : direct, rows));
  }

  /** Transposed: for a matrix that is stored [in, out]. */
  default Recipe transposed() {
    return then(TransposedRows::new, TransposedRows::new);
  }

  /** Rows 0, 2, ... before rows 1, 3, ...: for two matrices with interleaved rows. */
  default Recipe deinterleaved() {
    return then(
        rows -> new JoinedRows(List.of(new StridedRows(rows, 0, 2), new StridedRows(rows, 1, 2))),
        ReorderedRows::interleaved);
  }

  /** Converts heads from adjacent rotary pairs to pairs half a head apart. */
  default Recipe halvesOfPairs(int headSize) {
    return then(
        rows -> ReorderedRows.halvesOfPairs(rows, headSize),
        rows -> ReorderedRows.pairsOfHalves(rows, headSize));
  }

  /** For a tensor that stores the weight plus a number. */
  default Recipe storedPlus(float offset) {
    return then(rows -> OffsetRows.of(rows, -offset), rows -> OffsetRows.of(rows, offset));
  }

  private Recipe then(UnaryOperator<RowSource> read, UnaryOperator<RowSource> back) {
    return by(files -> read.apply(of(files)), (to, rows) -> give(back.apply(rows), to));
  }
}
