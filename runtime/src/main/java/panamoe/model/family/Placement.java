package panamoe.model.family;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.rows.HeadMatrix;
import panamoe.checkpoint.rows.JoinedRows;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.checkpoint.rows.TransposedRows;
import panamoe.config.BlockConfig;
import panamoe.config.LatentAttentionConfig;

/**
 * Maps the rows of one weight to stored tensors: the inverse of {@link Lookup}, with its names and
 * parameters. Used by one thread.
 */
record Placement(Tensors tensors, String before, BlockConfig block, int expert, long[] shape) {
  /** The tensors of all weights. */
  static final class Tensors {
    private record Stack(boolean vectors, List<RowSource> parts) {}

    private final boolean modules;
    private final Map<String, RowTensor> whole = new LinkedHashMap<>();
    private final Map<String, Stack> stacks = new LinkedHashMap<>();
    private final Map<String, RowSource> keys = new LinkedHashMap<>();
    private final Map<String, Map<Recipe.Fused, RowSource>> fused = new HashMap<>();

    /**
     * @param modules whether they are those of transformers' modules, not of published files
     */
    Tensors(boolean modules) {
      this.modules = modules;
    }

    /** All tensors by name, when every weight has been placed. */
    Map<String, RowTensor> all() {
      Map<String, RowTensor> all = new LinkedHashMap<>(whole);
      stacks.forEach(
          (name, stack) -> {
            RowSource one = stack.parts().getFirst();
            long experts = stack.parts().size();
            long[] shape =
                stack.vectors()
                    ? new long[] {experts, one.rows()}
                    : new long[] {experts, one.rows(), one.columns()};
            all.put(name, new RowTensor(shape, new JoinedRows(stack.parts())));
          });
      return all;
    }
  }

  /** A matrix, or a vector if the weight is one. */
  void matrix(String name, RowSource rows) {
    put(name, rows, vector() ? new long[] {rows.rows()} : matrixShape(rows));
  }

  /** A vector, as a matrix of one row. */
  void flat(String name, RowSource rows) {
    put(name, new TransposedRows(rows), 1, rows.rows());
  }

  /** A part of the queries, keys and values of an attention. */
  void fused(String name, Recipe.Fused part, RowSource rows) {
    Map<Recipe.Fused, RowSource> parts =
        tensors.fused.computeIfAbsent(whole(name), _ -> new EnumMap<>(Recipe.Fused.class));
    parts.put(part, rows);
    if (parts.size() == Recipe.Fused.values().length) {
      matrix(name, new JoinedRows(List.copyOf(parts.values())));
    }
  }

  /** A matrix of one row, as a vector. */
  void row(String name, RowSource rows) {
    put(name, rows, rows.columns());
  }

  /** A stack with the weight's shape. */
  void stack(String name, RowSource rows) {
    put(name, rows, shape);
  }

  /** The expert's part of a stack; call it in the order of the experts. */
  void part(String name, RowSource rows) {
    tensors
        .stacks
        .computeIfAbsent(whole(name), _ -> new Tensors.Stack(vector(), new ArrayList<>()))
        .parts()
        .add(rows);
  }

  /** The keys of a matrix of heads; the values follow. */
  void keysOfHeads(String name, RowSource rows) {
    tensors.keys.put(whole(name), rows);
  }

  /** The values of a matrix of heads [H, V, K]. */
  void valuesOfHeads(String name, RowSource rows) {
    RowSource all = new HeadMatrix(tensors.keys.remove(whole(name)), rows, shape[2]);
    put(name, all, matrixShape(all));
  }

  /** Whether queries come from a latent. */
  boolean latentQuery() {
    return ((LatentAttentionConfig) block.attention()).ranks().query() != null;
  }

  boolean modules() {
    return tensors.modules;
  }

  private boolean vector() {
    return shape.length == 1;
  }

  private static long[] matrixShape(RowSource rows) {
    return new long[] {rows.rows(), rows.columns()};
  }

  private void put(String name, RowSource rows, long... shape) {
    tensors.whole.put(whole(name), new RowTensor(shape, rows));
  }

  private String whole(String name) {
    return before + name.replace("*", Integer.toString(expert));
  }
}
