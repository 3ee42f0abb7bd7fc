package panamoe.model.family;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.rows.InMemory;
import panamoe.checkpoint.rows.RowTensor;
import panamoe.config.BlockConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import panamoe.tensor.DType;

/**
 * The tensors in which GGUF stores a divisor of each rotary pair's frequency: one for Llama 3's
 * scaling, and for Gemma 4's pairs that do not rotate; two for LongRoPE. The file does not store
 * the rule of Llama 3, so that its divisors are read as {@link RotaryScaling.LongRope} too.
 *
 * @param shortDivisors [R/2], for sequences as long as in training; empty without divisors
 * @param longDivisors [R/2], for longer ones
 */
record RopeFactors(List<Double> shortDivisors, List<Double> longDivisors) {
  private static final String ONE = "rope_freqs.weight";
  private static final String SHORT = "rope_factors_short.weight";
  private static final String LONG = "rope_factors_long.weight";
  private static final int MOST = 1 << 16;
  private static final RopeFactors NONE = new RopeFactors(List.of(), List.of());

  /** Whether files of an architecture have two of these tensors. */
  static boolean areTwo(String architecture) {
    return architecture.startsWith("phi");
  }

  /** The tensors of an architecture. */
  static String[] names(String architecture) {
    return areTwo(architecture) ? new String[] {SHORT, LONG} : new String[] {ONE};
  }

  /** Those of a file of that architecture. */
  static RopeFactors of(GgufFile file, String architecture) {
    String[] names = names(architecture);
    RopeFactors factors =
        new RopeFactors(read(file, names[0]), read(file, names[names.length - 1]));
    if (factors.shortDivisors.isEmpty() != factors.longDivisors.isEmpty()) {
      throw new CheckpointException(
          "%s: of %s and %s only one is there, expected both or none",
          file.metadata().path(), SHORT, LONG);
    }
    return factors;
  }

  /** Those of a model whose tensors are placed. */
  static RopeFactors of(ModelConfig config, Map<String, RowTensor> tensors) {
    return tensors.containsKey(ONE) || tensors.containsKey(SHORT)
        ? of(ConfigKeys.mostRotated(config.blocks()).rotary())
        : NONE;
  }

  private static RopeFactors of(Rotary rotary) {
    if (rotary == null) {
      return NONE;
    }
    return switch (rotary.scaling()) {
      case RotaryScaling.LongRope divided ->
          new RopeFactors(divided.shortDivisors(), divided.longDivisors());
      case RotaryScaling.Proportional proportional -> {
        double[] frequencies = proportional.frequencies(rotary.size(), rotary.base(), 1);
        List<Double> divisors =
            Arrays.stream(frequencies).mapToObj(each -> each == 0 ? GgufGemma.STILL : 1.0).toList();
        yield new RopeFactors(divisors, divisors);
      }
      case null, default -> NONE;
    };
  }

  private static List<Double> read(GgufFile file, String name) {
    StoredTensor tensor = file.tensors().get(name);
    if (tensor == null) {
      return List.of();
    }
    if (tensor.shape().length != 1 || tensor.count() > MOST || tensor.type() != StoredType.F32) {
      throw new CheckpointException(
          "%s: %s is %s, expected a vector in F32 of at most %s",
          file.metadata().path(), name, tensor, MOST);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment factors = arena.allocate(ValueLayout.JAVA_FLOAT, tensor.count());
      StoredRows.of(file, tensor).read(0, tensor.count(), 0, 1, factors);
      return factors
          .elements(ValueLayout.JAVA_FLOAT)
          .map(each -> (double) each.get(ValueLayout.JAVA_FLOAT, 0))
          .toList();
    }
  }

  /**
   * The model with Llama 3's scaling as divisors, as its file will be read; adds the divisors to
   * {@code tensors}.
   */
  static ModelConfig divided(
      String architecture, ModelConfig config, Map<String, RowTensor> tensors) {
    List<BlockConfig> blocks =
        config.blocks().stream().map(block -> divided(config, block)).toList();
    Rotary rotary = ConfigKeys.mostRotated(blocks).rotary();
    RopeFactors factors = of(rotary);
    if (factors.equals(NONE)) {
      return config.withBlocks(blocks);
    }
    if (areTwo(architecture)) {
      tensors.put(SHORT, vector(factors.shortDivisors));
      tensors.put(LONG, vector(factors.longDivisors));
    } else if (factors.shortDivisors.equals(factors.longDivisors)
        && rotary.scaling().amplitude() == 1) {
      tensors.put(ONE, vector(factors.longDivisors));
    }
    return config.withBlocks(blocks);
  }

  private static RowTensor vector(List<Double> divisors) {
    MemorySegment factors = Arena.ofAuto().allocate(ValueLayout.JAVA_FLOAT, divisors.size());
    for (int i = 0; i < divisors.size(); i++) {
      factors.setAtIndex(ValueLayout.JAVA_FLOAT, i, divisors.get(i).floatValue());
    }
    return new RowTensor(
        new long[] {divisors.size()}, new InMemory(DType.FLOAT32, divisors.size(), 1, factors));
  }

  private static BlockConfig divided(ModelConfig config, BlockConfig block) {
    if (!(block.attention() instanceof GroupedQueryConfig attention)
        || attention.rotary() == null
        || !(attention.rotary().scaling() instanceof RotaryScaling.Llama3 llama)) {
      return block;
    }
    Rotary rotary = attention.rotary();
    double[] trained = RotaryScaling.NONE.frequencies(rotary.size(), rotary.base(), 1);
    double[] stretched = llama.frequencies(rotary.size(), rotary.base(), 1);
    List<Double> divisors =
        IntStream.range(0, trained.length).mapToObj(i -> trained[i] / stretched[i]).toList();
    RotaryScaling scaling = new RotaryScaling.LongRope(divisors, divisors, config.context(), 1);
    return block.withAttention(
        attention.withRotary(new Rotary(rotary.base(), rotary.size(), rotary.pairs(), scaling)));
  }
}
