package panamoe.param;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.io.Require;
import panamoe.op.Gradient;
import panamoe.op.Tape;
import panamoe.parallel.RankConsistency;
import panamoe.parallel.Ranks;
import panamoe.param.Parameter.Role;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The parameters of one model, or one rank's share of them. Layers declare them in their
 * constructors; {@link #materialize} then initialises them, or {@link #allocate} allocates memory
 * for a checkpoint's. A store without memory costs nothing, so that a model of any size can be
 * counted.
 */
public final class ParameterStore implements AutoCloseable {
  /**
   * Steps between comparisons of replicas, which read all parameters: too slow for every step of a
   * small batch.
   */
  public static final int COMPARED_EVERY = 64;

  /** Bytes per copy of a parameter from a device, to compare it. */
  private static final long PIECE_BYTES = 1 << 20;

  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  private final Ranks ranks;
  private TensorScope scope;
  private Gradient vectors; // of all vectors, in one memory: they are many and small
  private ExpertCache expertCache;

  /** The parameters of a model on one rank. */
  public ParameterStore() {
    this(Ranks.alone());
  }

  /** This rank's share of a model that is distributed over {@code ranks}. */
  public ParameterStore(Ranks ranks) {
    this.ranks = ranks;
  }

  public Ranks ranks() {
    return ranks;
  }

  /**
   * Adds a parameter.
   *
   * @throws IllegalArgumentException if the name is taken
   */
  Parameter declare(Parameter parameter) {
    String name = parameter.name();
    Require.that(
        parameters.putIfAbsent(name, parameter) == null, "two parameters are called %s", name);
    return parameter;
  }

  /** All parameters in the order of their declaration and of the forward. */
  public List<Parameter> parameters() {
    return List.copyOf(parameters.values());
  }

  /** The parameters that are updated and saved: all in training, or the adapters. */
  public List<Parameter> trained() {
    return parameters.values().stream()
        .filter(parameter -> parameter.weight() instanceof Weight.Trained)
        .toList();
  }

  /** Elements of this rank's share. */
  public long count() {
    return parameters.values().stream().mapToLong(Parameter::count).sum();
  }

  /**
   * Allocates and initialises all parameters. Values depend only on {@code seed}, the parameter's
   * name and the index in the whole parameter, not on the ranks.
   *
   * @param dtype of the values that kernels read; vectors (biases, norms) and router weights stay
   *     FLOAT32
   * @param training whether to hold gradients, and FLOAT32 masters of BFLOAT16 values
   * @throws IllegalStateException if ranks hold copies of experts
   * @throws OutOfMemoryError if they exceed the backend's free memory: a system that overcommits
   *     would end the process later
   */
  public void materialize(Backend backend, DType dtype, boolean training, long seed) {
    if (parameters.values().stream().anyMatch(Parameter::copied)) {
      throw new IllegalStateException(
          "copies of experts are for inference with the weights of a checkpoint; train without"
              + " them");
    }
    open(backend, trainedBytes(parameters(), dtype, training));
    train(backend, parameters(), dtype, training, seed);
  }

  /**
   * Allocates the weights as for inference, with undefined contents, and initialises the {@link
   * Adapters} over them, which alone are trained.
   *
   * @param types of the weights; the adapters' values are in the compute dtype
   * @param seed of the adapters, as in {@link #materialize}
   * @throws OutOfMemoryError as {@link #materialize}
   */
  public void adapt(Backend backend, WeightTypes types, long seed) {
    List<Parameter> adapters = new ArrayList<>();
    List<Parameter> base = new ArrayList<>();
    parameters.values().forEach(it -> (it.role() == Role.ADAPTER ? adapters : base).add(it));
    open(
        backend,
        allocatedBytes(backend, types, base) + trainedBytes(adapters, types.compute(), true));
    allocate(backend, types, base);
    train(backend, adapters, types.compute(), true, seed);
  }

  private void train(
      Backend backend, List<Parameter> trained, DType dtype, boolean training, long seed) {
    long vectorElements = trained.stream().mapToLong(ParameterStore::elementsOfVector).sum();
    vectors =
        training && vectorElements > 0
            ? new Gradient(backend, scope.zeros(DType.FLOAT32, vectorElements))
            : null;
    long vector = 0;
    for (Parameter parameter : trained) {
      Tensor master = scope.allocate(DType.FLOAT32, parameter.shape());
      initialize(backend, parameter, master, seed);
      Tensor value = master;
      if (parameter.valueDType(dtype) != DType.FLOAT32) {
        value = scope.allocate(dtype, parameter.shape());
        backend.cast(master, value);
      }
      Gradient gradient = training ? new Gradient(backend, gradient(parameter, vector)) : null;
      vector += elementsOfVector(parameter);
      parameter.bind(new Weight.Trained(value, master, gradient));
    }
  }

  /** A vector's part of {@link #vectors} from {@code first} on, or a matrix's own memory. */
  private Tensor gradient(Parameter parameter, long first) {
    return parameter.role() == Role.VECTOR
        ? vectors.sums().rows(first, first + parameter.count()).reshape(parameter.shape())
        : scope.zeros(DType.FLOAT32, parameter.shape());
  }

  /** Elements of {@link #vectors}, in whole cache lines; 0 for a matrix. */
  private static long elementsOfVector(Parameter parameter) {
    return parameter.role() == Role.VECTOR ? Math.ceilDiv(parameter.count(), 16) * 16 : 0;
  }

  /**
   * Allocates memory for inference, with undefined contents and without masters: operands packed,
   * tables in their dtype, vectors in FLOAT32.
   *
   * @param types of the parameters
   * @param held which of them get memory; others have no {@link Parameter#value}
   * @param otherBytes bytes of further allocations in {@link #scope}
   * @throws OutOfMemoryError as {@link #materialize}
   */
  public void allocate(
      Backend backend, WeightTypes types, Predicate<Parameter> held, long otherBytes) {
    List<Parameter> here = parameters.values().stream().filter(held).toList();
    open(backend, otherBytes + allocatedBytes(backend, types, here));
    allocate(backend, types, here);
  }

  private static long allocatedBytes(Backend backend, WeightTypes types, List<Parameter> here) {
    long bytes = 0;
    for (Parameter parameter : here) {
      for (DType dtype : types.of(parameter)) {
        long[] one = parameter.sliceShape();
        bytes +=
            parameter.role() == Role.OPERAND
                ? backend.packedBytes(dtype, one)
                : Tensor.count(one) * dtype.bytes();
      }
    }
    return bytes;
  }

  private void allocate(Backend backend, WeightTypes types, List<Parameter> here) {
    for (Parameter parameter : here) {
      List<DType> dtypes = types.of(parameter);
      parameter.bind(
          parameter.role() == Role.OPERAND
              ? new Weight.Packed(allocatePacked(backend, types, dtypes, parameter.shape()))
              : new Weight.RowMajor(scope.allocate(dtypes.getFirst(), parameter.shape())));
    }
  }

  /** Neighbours of one dtype share their memory, so that a GPU multiplies by them in one launch. */
  private Tensor allocatePacked(
      Backend backend, WeightTypes types, List<DType> dtypes, long[] shape) {
    if (dtypes.stream().distinct().count() == 1) {
      return types.multiplied(allocatePacked(backend, dtypes.getFirst(), shape));
    }
    List<Tensor> matrices = new ArrayList<>();
    for (int from = 0, to; from < dtypes.size(); from = to) {
      DType dtype = dtypes.get(from);
      to = from;
      while (to < dtypes.size() && dtypes.get(to) == dtype) {
        to++;
      }
      Tensor alike =
          types.multiplied(allocatePacked(backend, dtype, to - from, shape[1], shape[2]));
      IntStream.range(0, to - from).forEach(i -> matrices.add(backend.packedMatrix(alike, i)));
    }
    return scope.stack(matrices);
  }

  /**
   * Sets the weights of parameters that {@link #allocate} left without memory.
   *
   * @param weights in {@code cache}, which is closed with this store
   */
  public void offload(ExpertCache cache, Map<Parameter, Weight.Offloaded> weights) {
    expertCache = cache;
    weights.forEach(Parameter::bind);
  }

  /**
   * Packs the values of an allocated adapter's factor, where all its matrices are in one product.
   *
   * @param numbers FLOAT32 [matrices, rows, columns], all of the factor's; freed by the caller
   */
  public void pack(Backend backend, Parameter factor, Tensor numbers) {
    Tensor before = factor.value();
    Tensor packed = allocatePacked(backend, before.dtype(), numbers.shape());
    backend.pack(numbers, packed);
    before.release();
    factor.bind(new Weight.Packed(packed));
  }

  /** The cache of experts on disk; empty if all are in memory. */
  public Optional<ExpertCache> expertCache() {
    return Optional.ofNullable(expertCache);
  }

  /** Warnings about parameters that these types do not fit. */
  public Optional<String> note(WeightTypes types) {
    return types.note(parameters());
  }

  /** Allocates a packed operand of this shape in {@link #scope}. */
  public Tensor allocatePacked(Backend backend, DType dtype, long... shape) {
    return scope.allocatePacked(dtype, backend.packedBytes(dtype, shape), shape);
  }

  private static long trainedBytes(List<Parameter> trained, DType dtype, boolean training) {
    long bytes = 0;
    for (Parameter parameter : trained) {
      boolean rounded = parameter.valueDType(dtype) != DType.FLOAT32;
      int bytesEach = DType.FLOAT32.bytes() * (training ? 2 : 1) + (rounded ? dtype.bytes() : 0);
      bytes += parameter.count() * bytesEach;
    }
    return bytes;
  }

  private void open(Backend backend, long bytes) {
    if (scope != null) {
      throw new IllegalStateException("the parameters already have memory");
    }
    backend.requireMemory("the parameters", bytes);
    scope = TensorScope.shared(backend);
  }

  /**
   * Refuses replicas with different values. Collective.
   *
   * @throws panamoe.comm.CommunicationException on every rank, with the rank and the parameter
   */
  public void requireSameReplicas() {
    Map<Communicator, List<Parameter>> replicated = new LinkedHashMap<>();
    for (Parameter parameter : trained()) {
      replicated.computeIfAbsent(parameter.replicas(), _ -> new ArrayList<>()).add(parameter);
    }
    replicated.forEach(
        (replicas, held) ->
            RankConsistency.require(ranks.world(), replicas, () -> checksums(held)));
  }

  private static Map<String, String> checksums(List<Parameter> parameters) {
    Map<String, String> checksums = new LinkedHashMap<>();
    MemorySegment piece = Arena.ofAuto().allocate(PIECE_BYTES);
    for (Parameter parameter : parameters) {
      CRC32C checksum = new CRC32C();
      Tensor master = parameter.master();
      for (long at = 0; at < master.bytes(); at += PIECE_BYTES) {
        long bytes = Math.min(PIECE_BYTES, master.bytes() - at);
        master.copyTo(at, piece.asSlice(0, bytes));
        checksum.update(piece.asSlice(0, bytes).asByteBuffer());
      }
      checksums.put(parameter.name() + " of checksum", Long.toHexString(checksum.getValue()));
    }
    return checksums;
  }

  /** The name of the first trained parameter with a number that is not finite; empty: none. */
  public String firstBad(Backend backend) {
    try (TensorScope own = TensorScope.confined(backend)) {
      Tensor sum = own.allocate(DType.FLOAT32, 1);
      for (Parameter parameter : trained()) {
        backend.squareSum(parameter.master(), sum);
        if (!Float.isFinite(sum.getFloat(0))) {
          return parameter.name();
        }
      }
    }
    return "";
  }

  /** Rounds the masters to the values, after the masters were set (a loaded checkpoint). */
  public void refresh(Backend backend) {
    for (Parameter parameter : trained()) {
      if (parameter.value() != parameter.master()) {
        backend.cast(parameter.master(), parameter.value());
      }
    }
  }

  /**
   * Prepares initialised parameters for inference: operands are packed in {@code dtype}, masters
   * and gradients are freed. Tables and vectors are unchanged.
   */
  public void pack(Backend backend, DType dtype) {
    for (Parameter parameter : parameters.values()) {
      Tensor master = parameter.master();
      Tensor value = parameter.value();
      if (parameter.gradient() != null) {
        parameter.gradient().release();
      }
      if (parameter.role() == Role.OPERAND) {
        DType held = parameter.valueDType(dtype);
        Tensor packed = allocatePacked(backend, held, parameter.shape());
        backend.pack(master, packed);
        value.release();
        master.release();
        parameter.bind(new Weight.Packed(packed));
      } else {
        if (value != master) {
          master.release();
        }
        parameter.bind(new Weight.RowMajor(value));
      }
    }
    if (vectors != null) {
      vectors.sums().release();
      vectors = null;
    }
  }

  /** Registers every gradient with the tape. */
  public void watch(Tape tape) {
    for (Parameter parameter : trained()) {
      tape.watch(parameter.value(), parameter.gradientSums());
    }
  }

  /** Sets all gradients to zero. */
  public void zeroGradients() {
    forgetGradients();
    completeGradients();
  }

  /**
   * Sets all gradients to zero without writing matrices: the next backwards overwrite them.
   * Afterwards {@link #completeGradients} clears the gradients that no backward wrote; until then
   * only tapes may use the gradients.
   */
  public void forgetGradients() {
    if (vectors != null) {
      vectors.forget();
      vectors.sums(); // sums() clears what is forgotten: one call for all vectors
    }
    trained().stream()
        .filter(parameter -> parameter.role() != Role.VECTOR)
        .forEach(parameter -> parameter.gradientSums().forget());
  }

  /** Clears the gradients that no backward wrote. */
  public void completeGradients() {
    trained().forEach(Parameter::gradient);
  }

  /** Memory with the lifetime of the model: rotary tables, optimizer moments. */
  public TensorScope scope() {
    return scope;
  }

  @Override
  public void close() {
    if (expertCache != null) {
      expertCache.close(); // ends reads into its memory
    }
    if (scope != null) {
      scope.close();
    }
  }

  /** Parameters by the part of the model that they belong to, with their element counts. */
  public Map<Parameter.Part, Long> countByPart() {
    Map<Parameter.Part, Long> counts = new LinkedHashMap<>();
    parameters.values().forEach(p -> counts.merge(p.part(), p.count(), Long::sum));
    return counts;
  }

  private static void initialize(Backend backend, Parameter parameter, Tensor master, long seed) {
    CRC32C checksum = new CRC32C();
    checksum.update(parameter.name().getBytes(StandardCharsets.UTF_8));
    long stream = seed ^ checksum.getValue() << 32;
    long matrix = Tensor.count(parameter.matrixShape());
    boolean constant = parameter.initialization() instanceof Initialization.Constant;
    if (constant || parameter.slice().whole()) {
      draw(backend, parameter, stream, parameter.expert(0) * matrix, master);
    } else {
      drawSlices(backend, parameter, master, stream);
    }
  }

  /** Draws elements of a parameter from index {@code first} of the whole on. */
  private static void draw(
      Backend backend, Parameter parameter, long stream, long first, Tensor into) {
    switch (parameter.initialization()) {
      case Initialization.Constant(float value) -> backend.fill(value, into);
      case Initialization.Normal(float deviation) ->
          backend.randomNormal(stream, first, 0, deviation, into);
      case Initialization.Uniform(float bound) -> {
        try (TensorScope scope = TensorScope.confined(backend)) {
          Tensor least = scope.allocate(DType.FLOAT32, into.shape());
          backend.fill(-bound, least);
          backend.randomUniform(stream, first, into);
          backend.add(2 * bound, into, 1, least, into);
        }
      }
    }
  }

  /** Generates every whole matrix, and keeps this rank's slice. */
  private static void drawSlices(Backend backend, Parameter parameter, Tensor master, long stream) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor whole = scope.allocate(DType.FLOAT32, parameter.matrixShape());
      for (int i = 0; i < parameter.matrices(); i++) {
        draw(backend, parameter, stream, parameter.expert(i) * whole.count(), whole);
        parameter.slice().cut(whole, parameter.slice().ranks().rank(), parameter.matrix(master, i));
      }
    }
  }
}
