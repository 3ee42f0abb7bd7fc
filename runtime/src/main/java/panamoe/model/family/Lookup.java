package panamoe.model.family;

import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.rows.RowRange;
import panamoe.checkpoint.rows.ScaledRows;
import panamoe.config.BlockConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.LatentAttentionConfig;

/**
 * Finds the stored tensors of one weight. Names are given without the layer's prefix, and with
 * {@code *} for the expert's index. Used by one thread.
 *
 * @param before the prefix of each name
 * @param block of the weight's layer; null outside of layers
 * @param expert the weight's; 0 outside of experts
 * @param shape of the weight, not to be changed
 * @param used receives the tensors that are found
 */
record Lookup(
    Files files, String before, BlockConfig block, int expert, long[] shape, Set<String> used) {
  /**
   * The files, with properties of all their weights.
   *
   * @param tensors of the model, by names that a file may put a prefix before
   * @param scaleBlock rows and columns of a block of 8-bit values that share a scale; null if there
   *     are none
   */
  record Files(TensorFiles files, Map<String, StoredTensor> tensors, int[] scaleBlock) {}

  boolean has(String name) {
    return files.tensors.containsKey(whole(name));
  }

  /** A matrix or vector; 8-bit values times their scales. */
  RowSource matrix(String name) {
    StoredTensor tensor = floats(name);
    if (tensor.shape().length > 2) {
      throw shaped(tensor, "two dimensions");
    }
    RowSource rows = StoredRows.of(files.files, tensor);
    return tensor.type() == StoredType.F8_E4M3
        ? scaled(tensor, rows, StoredRows.of(files.files, floats(name + "_scale_inv")))
        : rows;
  }

  /** A part of the queries, keys and values of an attention. */
  RowSource fused(String name, Recipe.Fused part) {
    RowSource rows = matrix(name);
    GroupedQueryConfig.Heads heads = ((GroupedQueryConfig) block.attention()).heads();
    long expected = (heads.query() + 2L * heads.keyValue()) * heads.size();
    if (rows.rows() != expected) {
      throw new CheckpointException(
          whole(name) + " has " + rows.rows() + " rows, expected " + expected);
    }
    return new RowRange(rows, part.first(heads), shape[0]);
  }

  /** The keys and values of latent attention, head by head. */
  RowSource heads(String name) {
    RowSource rows = matrix(name);
    LatentAttentionConfig.Heads heads = ((LatentAttentionConfig) block.attention()).heads();
    long expected = (long) heads.count() * (heads.nope() + heads.value());
    if (rows.rows() != expected) {
      throw new CheckpointException(
          whole(name) + " has " + rows.rows() + " rows, expected " + expected);
    }
    return rows;
  }

  /** A stack with the weight's shape; each matrix is a row. */
  RowSource stack(String name) {
    StoredTensor tensor = floats(name);
    if (!Arrays.equals(tensor.shape(), shape)) {
      throw shaped(tensor, Arrays.toString(shape));
    }
    return StoredRows.of(files.files, tensor);
  }

  /** A vector, as a matrix of one row. */
  RowSource row(String name) {
    StoredTensor tensor = floats(name);
    return new StoredRows(files.files, tensor, 0, 1, tensor.count());
  }

  /** The expert's part of a stack of matrices or vectors. */
  RowSource part(String name) {
    StoredTensor tensor = floats(name);
    RowSource rows = part(tensor, 3);
    return tensor.type() == StoredType.F8_E4M3
        ? scaled(tensor, rows, part(floats(name + "_scale_inv"), 3))
        : rows;
  }

  /** The expert's part of a stack of bytes [E, N, ...]. */
  RowSource bytes(String name) {
    StoredTensor tensor = tensor(name);
    if (tensor.type() != StoredType.U8) {
      throw new CheckpointException(tensor.name() + " is " + tensor.type() + ", expected U8");
    }
    return part(tensor, 4);
  }

  private RowSource part(StoredTensor tensor, int mostDimensions) {
    int experts = block == null ? 0 : block.experts();
    long[] shape = tensor.shape();
    if (shape.length < 2 || shape.length > mostDimensions || shape[0] != experts) {
      throw shaped(tensor, experts + " experts along the first dimension");
    }
    return StoredRows.part(files.files, tensor, expert);
  }

  private RowSource scaled(StoredTensor tensor, RowSource values, RowSource scales) {
    if (files.scaleBlock == null) {
      throw new CheckpointException(
          "%s is F8_E4M3, but config.json has no quantization_config with a weight_block_size",
          tensor.name());
    }
    return new ScaledRows(values, scales, files.scaleBlock[0], files.scaleBlock[1]);
  }

  private StoredTensor floats(String name) {
    StoredTensor tensor = tensor(name);
    if (!tensor.type().isFloating() || tensor.type() == StoredType.F64) {
      throw new CheckpointException(
          tensor.name() + " is " + tensor.type() + ", which no weight is stored as");
    }
    return tensor;
  }

  private StoredTensor tensor(String name) {
    StoredTensor tensor = files.tensors.get(whole(name));
    if (tensor == null) {
      throw new CheckpointException("missing " + whole(name));
    }
    used.add(whole(name));
    return tensor;
  }

  private String whole(String name) {
    return before + name.replace("*", Integer.toString(expert));
  }

  private static CheckpointException shaped(StoredTensor tensor, String expected) {
    return new CheckpointException(
        "%s has the shape %s, expected %s",
        tensor.name(), Arrays.toString(tensor.shape()), expected);
  }
}
