package panamoe.model.family;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.rows.RowRange;
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
   * @param quantized how matrices are quantized
   */
  record Files(TensorFiles files, Map<String, StoredTensor> tensors, QuantizedTensors quantized) {}

  boolean has(String name) {
    return files.tensors.containsKey(whole(name));
  }

  /** Whether there is a matrix, quantized or not. */
  boolean hasMatrix(String name) {
    return has(name) || quantized(name).isPresent();
  }

  /** The type of a tensor; null if the files lack it. */
  StoredType type(String name) {
    return has(name) ? files.tensors.get(whole(name)).type() : null;
  }

  /** A matrix or vector, quantized or not. */
  RowSource matrix(String name) {
    return quantized(name).orElseGet(() -> unquantized(name));
  }

  private Optional<RowSource> quantized(String name) {
    if (!name.endsWith(QuantizedTensors.WEIGHT)) {
      return Optional.empty();
    }
    String module = name.substring(0, name.length() - QuantizedTensors.WEIGHT.length());
    try {
      return files.quantized.matrix(this, module);
    } catch (CheckpointException e) {
      throw new CheckpointException(whole(name) + ": " + e.getMessage(), e);
    }
  }

  private RowSource unquantized(String name) {
    floats(name);
    refuseEightBits(name);
    return stored(name);
  }

  void refuseEightBits(String name) {
    if (type(name) == StoredType.F8_E4M3) {
      throw new CheckpointException(
          "%s is F8_E4M3, but config.json has no quantization_config of fp8", whole(name));
    }
  }

  /** A matrix or vector of any type. */
  RowSource stored(String name) {
    StoredTensor tensor = tensor(name);
    if (tensor.shape().length > 2) {
      throw shaped(tensor, "two dimensions");
    }
    return StoredRows.of(files.files, tensor);
  }

  /** Tensors that may be there and are not read. */
  void ignore(String... names) {
    Arrays.stream(names).filter(this::has).map(this::whole).forEach(used::add);
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

  /** A vector that may be there and, if all numbers are 0, need not be read. */
  void ignoreZeros(String name) {
    if (!has(name)) {
      return;
    }
    StoredTensor tensor = files.tensors.get(whole(name));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(tensor.bytes());
      files.files.read(tensor, 0, bytes);
      if (bytes.mismatch(arena.allocate(tensor.bytes())) == -1) {
        ignore(name);
      }
    }
  }

  /** The expert's part of a stack of matrices or vectors. */
  RowSource part(String name) {
    return files.quantized.part(this, name, storedPart(name));
  }

  /** The expert's part of a stack, without its scales. */
  RowSource storedPart(String name) {
    return part(floats(name), 3);
  }

  /** The factor of a matrix, or the expert's of a stack. */
  RowSource factor(String name) {
    StoredTensor tensor = floats(name);
    return new StoredRows(files.files, tensor, tensor.count() == 1 ? 0 : expert, 1, 1);
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

  /** The name of a tensor in the files. */
  String whole(String name) {
    return before + name.replace("*", Integer.toString(expert));
  }

  private static CheckpointException shaped(StoredTensor tensor, String expected) {
    return new CheckpointException(
        "%s has the shape %s, expected %s",
        tensor.name(), Arrays.toString(tensor.shape()), expected);
  }
}
