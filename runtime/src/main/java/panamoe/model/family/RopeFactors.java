package panamoe.model.family;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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
 * The tensor in which GGUF stores Llama 3's rotary scaling: a divisor of each pair's frequency. The
 * file does not store the rule that computed them, so they are read as {@link
 * RotaryScaling.LongRope}.
 */
final class RopeFactors {
  static final String TENSOR = "rope_freqs.weight";
  private static final int MOST = 1 << 16;

  private RopeFactors() {}

  /** The divisors [R/2] in a file; empty if it has none. */
  static List<Double> of(GgufFile file) {
    StoredTensor tensor = file.tensors().get(TENSOR);
    if (tensor == null) {
      return List.of();
    }
    if (tensor.shape().length != 1 || tensor.count() > MOST || tensor.type() != StoredType.F32) {
      throw new CheckpointException(
          "%s: %s is %s, expected a vector in F32 of at most %s",
          file.metadata().path(), TENSOR, tensor, MOST);
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
  static ModelConfig divided(ModelConfig config, Map<String, RowTensor> tensors) {
    List<BlockConfig> blocks =
        config.blocks().stream().map(block -> divided(config, block)).toList();
    ModelConfig read = config.withBlocks(blocks);
    if (blocks.getFirst().attention().rotary() instanceof Rotary rotary
        && rotary.scaling() instanceof RotaryScaling.LongRope divided
        && divided.shortDivisors().equals(divided.longDivisors())
        && divided.amplitude() == 1) {
      List<Double> divisors = divided.longDivisors();
      MemorySegment factors = Arena.ofAuto().allocate(ValueLayout.JAVA_FLOAT, divisors.size());
      for (int i = 0; i < divisors.size(); i++) {
        factors.setAtIndex(ValueLayout.JAVA_FLOAT, i, divisors.get(i).floatValue());
      }
      tensors.put(
          TENSOR,
          new RowTensor(
              new long[] {divisors.size()},
              new InMemory(DType.FLOAT32, divisors.size(), 1, factors)));
    }
    return read;
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
