package panamoe.model.family;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.checkpoint.rows.InMemory;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.model.ModelTensors;
import panamoe.param.Parameter;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Carries adapters between a family's stored tensors and the weights made of them, by the same
 * {@link Recipes} as the weights: these only select and order rows, so numbered rows show the way.
 * Immutable.
 */
final class AdaptedTensors {
  private final ModelConfig config;
  private final Recipes recipes;
  private final Map<String, StoredTensor> published;
  private final Map<String, StoredTensor> modules;

  /** Names and shapes of the matrices that adapters change. */
  private final Map<String, long[]> matrices = new LinkedHashMap<>();

  private final Set<String> routers = new HashSet<>();

  /** A weight's rows in a tensor; -1 for those of another. */
  private record Part(String tensor, int matrix, boolean transposed, int[] rows) {}

  /** A part of a tensor, with the weight that has its rows. */
  private record Placed(String weight, Part part, LowRank adapter) {}

  AdaptedTensors(ModelConfig config, Recipes recipes) {
    this.config = config;
    this.recipes = recipes;
    this.published = tensors(false);
    this.modules = tensors(true);
    try (LanguageModel model = new LanguageModel(config)) {
      for (Parameter parameter : model.parameters().parameters()) {
        long[] shape = parameter.matrixShape();
        boolean looked = parameter.name().startsWith("embedding.");
        if (parameter.role() == Parameter.Role.OPERAND && shape.length == 2 && !looked) {
          for (int i = 0; i < parameter.matrices(); i++) {
            matrices.put(parameter.tensorName(i), shape);
          }
        }
      }
    }
    for (String weight : matrices.keySet()) {
      if (weight.endsWith(".moe.gate.weight")) {
        parts(weight, modules, modules.keySet()).forEach(part -> routers.add(part.tensor()));
      }
    }
  }

  private Map<String, StoredTensor> tensors(boolean ofModules) {
    Map<String, RowSource> rows = new LinkedHashMap<>();
    ModelTensors.shapes(config)
        .forEach(
            (weight, shape) -> {
              long columns = Tensor.count(shape) / shape[0];
              rows.put(weight, new InMemory(DType.FLOAT32, shape[0], columns, MemorySegment.NULL));
            });
    Map<String, StoredTensor> tensors = new LinkedHashMap<>();
    recipes
        .tensors(config, rows, ofModules)
        .forEach(
            (name, tensor) -> {
              long bytes = DType.FLOAT32.bytes(Tensor.count(tensor.shape()));
              tensors.put(name, new StoredTensor(name, StoredType.F32, tensor.shape(), 0, bytes));
            });
    return tensors;
  }

  /** The names of the tensors of transformers' modules, which stack experts. */
  Set<String> modules() {
    return modules.keySet();
  }

  /** Whether it is a router of transformers' modules. */
  boolean isRouter(String tensor) {
    return routers.contains(tensor);
  }

  /** The shape of a tensor; null if the model has none of that name. */
  long[] shape(String tensor) {
    StoredTensor known = published.getOrDefault(tensor, modules.get(tensor));
    return known == null ? null : known.shape();
  }

  /**
   * The adapters of weights: those of two tensors that make one are stacked along the rank.
   *
   * @param adapters by tensor: of each matrix of a stack, or of the only one
   * @throws CheckpointException if one fits no tensor, or its tensor is no matrix to adapt
   */
  Map<String, LowRank> ofTensors(Map<String, List<LowRank>> adapters) {
    Map<String, StoredTensor> there = new LinkedHashMap<>(published);
    adapters.forEach(
        (tensor, parts) -> {
          require(tensor, parts);
          there.putIfAbsent(tensor, modules.get(tensor));
        });
    Map<String, LowRank> weights = new LinkedHashMap<>();
    Set<String> read = new LinkedHashSet<>();
    matrices.forEach(
        (weight, shape) -> {
          List<Part> parts = parts(weight, there, adapters.keySet());
          if (!parts.isEmpty()) {
            weights.put(weight, stacked(shape, parts, adapters));
            parts.forEach(part -> read.add(part.tensor()));
          }
        });
    for (String tensor : adapters.keySet()) {
      if (!read.contains(tensor)) {
        throw new CheckpointException(
            "%s is adapted, but only matrices that activations are multiplied by can be:"
                + " no embedding, norm, bias, or stack of heads",
            tensor);
      }
    }
    return weights;
  }

  private void require(String tensor, List<LowRank> parts) {
    long[] shape = shape(tensor);
    if (shape == null) {
      throw new CheckpointException("%s is adapted, but the model has no such tensor", tensor);
    }
    int axes = shape.length;
    LowRank first = parts.getFirst();
    if (axes < 2
        || parts.size() != (axes == 3 ? shape[0] : 1)
        || first.rows() != shape[axes - 2]
        || first.columns() != shape[axes - 1]) {
      throw new CheckpointException(
          "%s has an adapter with A [%s, %s] and B [%s, %s], but its shape is %s in the model",
          tensor,
          first.rank(),
          first.columns(),
          first.rows(),
          first.rank(),
          Arrays.toString(shape));
    }
  }

  private static LowRank stacked(
      long[] shape, List<Part> parts, Map<String, List<LowRank>> adapters) {
    List<LowRank> each =
        parts.stream()
            .map(
                part -> {
                  LowRank own = adapters.get(part.tensor()).get(part.matrix());
                  return part.transposed() ? own.transposed() : own;
                })
            .toList();
    int rank = each.stream().mapToInt(LowRank::rank).sum();
    double scale = common(each.stream());
    float[] a = new float[Math.multiplyExact(rank, (int) shape[1])];
    float[] b = new float[Math.multiplyExact(rank, (int) shape[0])];
    int first = 0;
    for (int i = 0; i < parts.size(); i++) {
      LowRank own = each.get(i);
      System.arraycopy(own.a(), 0, a, first * (int) shape[1], own.a().length);
      int[] rows = parts.get(i).rows();
      for (int n = 0; n < rows.length; n++) {
        if (rows[n] >= 0) {
          copy(own, rows[n], b, n * rank + first, scale);
        }
      }
      first += own.rank();
    }
    return new LowRank(rank, a, b, scale);
  }

  /** The first scale that others can be expressed by: 0 if all are. */
  private static double common(Stream<LowRank> adapters) {
    return adapters.mapToDouble(LowRank::scale).filter(scale -> scale != 0).findFirst().orElse(0);
  }

  /** Copies a row of B, for a common scale. */
  private static void copy(LowRank from, int row, float[] b, int at, double scale) {
    double factor = from.scale() == scale ? 1 : from.scale() / scale;
    for (int j = 0; j < from.rank(); j++) {
      b[at + j] = (float) (from.b()[row * from.rank() + j] * factor);
    }
  }

  /**
   * The inverse: adapters of tensors, which share A if one weight makes several.
   *
   * @param adapters by weight
   * @param ofModules whether of transformers' modules, not of published files
   * @throws CheckpointException if one has no place there
   */
  Map<String, List<LowRank>> toTensors(Map<String, LowRank> adapters, boolean ofModules) {
    Map<String, StoredTensor> there = ofModules ? modules : published;
    Map<String, List<Placed>> placed = new LinkedHashMap<>();
    adapters.forEach(
        (weight, adapter) -> {
          for (Part part : placed(weight, there)) {
            placed
                .computeIfAbsent(part.tensor(), _ -> new ArrayList<>())
                .add(new Placed(weight, part, adapter));
          }
        });
    Map<String, List<LowRank>> tensors = new LinkedHashMap<>();
    placed.forEach(
        (tensor, parts) -> tensors.put(tensor, together(there.get(tensor).shape(), parts)));
    return tensors;
  }

  private List<Part> placed(String weight, Map<String, StoredTensor> there) {
    List<Part> parts =
        matrices.containsKey(weight) ? parts(weight, there, there.keySet()) : List.of();
    if (parts.isEmpty()
        || parts.stream().anyMatch(part -> there.get(part.tensor()).shape().length == 1)) {
      throw new CheckpointException(
          "the adapter of %s has no place in such a file: only those of single matrices and of"
              + " experts have",
          weight);
    }
    return parts;
  }

  /** Weights that share a tensor have their own part of its rank; experts have their own matrix. */
  private static List<LowRank> together(long[] shape, List<Placed> parts) {
    boolean transposed = parts.getFirst().part().transposed();
    int rows = (int) shape[shape.length - (transposed ? 1 : 2)];
    int columns = (int) shape[shape.length - (transposed ? 2 : 1)];
    Map<String, Integer> ranks = new LinkedHashMap<>();
    parts.forEach(it -> ranks.merge(withoutExpert(it.weight()), it.adapter().rank(), Math::max));
    int rank = ranks.values().stream().mapToInt(Integer::intValue).sum();
    double scale = common(parts.stream().map(Placed::adapter));
    List<LowRank> matrices = new ArrayList<>();
    for (int i = 0; i < (shape.length == 3 ? shape[0] : 1); i++) {
      matrices.add(
          new LowRank(
              rank,
              new float[Math.multiplyExact(rank, columns)],
              new float[Math.multiplyExact(rank, rows)],
              scale));
    }
    for (Placed it : parts) {
      int first = 0;
      for (Map.Entry<String, Integer> other : ranks.entrySet()) {
        if (other.getKey().equals(withoutExpert(it.weight()))) {
          break;
        }
        first += other.getValue();
      }
      LowRank to = matrices.get(it.part().matrix());
      System.arraycopy(it.adapter().a(), 0, to.a(), first * columns, it.adapter().a().length);
      int[] of = it.part().rows();
      for (int n = 0; n < of.length; n++) {
        if (of[n] >= 0) {
          copy(it.adapter(), n, to.b(), of[n] * rank + first, scale);
        }
      }
    }
    return transposed ? matrices.stream().map(LowRank::transposed).toList() : matrices;
  }

  private static String withoutExpert(String weight) {
    return weight.replaceFirst("\\.experts\\.\\d+\\.", ".experts.");
  }

  /** The parts of a weight in some tensors. */
  private List<Part> parts(String weight, Map<String, StoredTensor> there, Set<String> wanted) {
    long[] shape = matrices.get(weight);
    Set<String> used = new LinkedHashSet<>();
    RowSource all = source(weight, new Numbered(there, false, null), used);
    used.retainAll(wanted);
    if (used.isEmpty()) {
      return List.of();
    }
    float[] row = floats(all, 1, shape[1]);
    boolean transposed = row[0] != row[row.length - 1];
    List<Part> parts = new ArrayList<>();
    for (String tensor : used) {
      RowSource own =
          source(weight, new Numbered(there, transposed, tensor), new LinkedHashSet<>());
      float[] numbers = floats(own, shape[0], 1);
      int[] rows = new int[numbers.length];
      for (int i = 0; i < rows.length; i++) {
        rows[i] = (int) numbers[i] - 1;
      }
      int matrix = there.get(tensor).shape().length == 3 ? expert(weight) : 0;
      parts.add(new Part(tensor, matrix, transposed, rows));
    }
    return parts;
  }

  private static int expert(String weight) {
    return Integer.parseInt(weight.replaceFirst(".*\\.experts\\.(\\d+)\\..*", "$1"));
  }

  private RowSource source(String weight, Numbered files, Set<String> used) {
    Lookup.Files all = new Lookup.Files(files, files.tensors(), QuantizedTensors.NONE);
    return recipes.source(config, weight, matrices.get(weight), all, used);
  }

  /**
   * Tensors whose elements are the numbers of their rows, from 1.
   *
   * @param byColumn whether they are those of columns
   * @param only the tensor that has such elements, the others have 0; null: all
   */
  private record Numbered(Map<String, StoredTensor> tensors, boolean byColumn, String only)
      implements TensorFiles {
    @Override
    public Path file(StoredTensor tensor) {
      return Path.of(tensor.name());
    }

    @Override
    public void read(StoredTensor tensor, long offset, MemorySegment into) {
      long[] shape = tensor.shape();
      boolean vector = shape.length == 1;
      long columns = vector ? 1 : shape[shape.length - 1];
      long rows = vector ? shape[0] : shape[shape.length - 2];
      boolean numbered = only == null || only.equals(tensor.name());
      for (long i = 0; i < into.byteSize() / Float.BYTES; i++) {
        long at = offset / Float.BYTES + i;
        long number = byColumn ? at % columns : at / columns % rows;
        into.setAtIndex(ValueLayout.JAVA_FLOAT, i, numbered ? number + 1 : 0);
      }
    }

    @Override
    public void close() {} // nothing is open
  }

  private static float[] floats(RowSource source, long rows, long columns) {
    float[] floats = new float[(int) (rows * columns)];
    source.read(0, rows, 0, columns, MemorySegment.ofArray(floats));
    return floats;
  }
}
