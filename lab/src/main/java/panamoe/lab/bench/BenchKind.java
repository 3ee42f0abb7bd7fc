package panamoe.lab.bench;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.List;
import java.util.Locale;
import panamoe.backend.Backend;
import panamoe.tensor.DType;

/** The kinds of measurement; {@link BenchCommand} describes them. */
public enum BenchKind {
  GATE("s1", List.of(1, 8, 64, 512, 2048)),
  DISPATCH("s1", List.of(1, 8, 64, 512, 2048)),
  COMBINE("s1", List.of(1, 8, 64, 512, 2048)),
  BALANCE("s1", List.of(512, 2048)),
  GROUPED_GEMM("s1", List.of(1, 8, 64, 512, 2048)),
  GROUPED_GEMM_DGRAD("s1", List.of(64, 512, 2048)),
  GROUPED_GEMM_WGRAD("s1", List.of(64, 512, 2048)),
  MOE_LAYER("s1", List.of(1, 8, 64, 512, 2048)),
  MOE_LAYER_TRAINING("s1", List.of(512, 2048)),
  ADAPTER_TRAINING("1024x512x64x1-swiglu", List.of(2048)),
  ATTENTION("2048x2048x8x1", List.of(512, 4096)),
  TRAIN_STEP("256x1024x16x1", List.of(2048)),
  DISTILL_STEP("256x1024x16x1", List.of(2048)),
  PREFILL("1024x4096x16x1", List.of(512)),
  DECODE("1024x4096x16x1", List.of(64)),
  DECODE_BATCH("1024x4096x16x1", List.of(1, 2, 4, 8, 16, 32, 64)),
  LOAD("512x2048x16x1", List.of(0));

  private final String defaultShape;
  private final List<Integer> defaultTokens;

  BenchKind(String defaultShape, List<Integer> defaultTokens) {
    this.defaultShape = defaultShape;
    this.defaultTokens = defaultTokens;
  }

  public String defaultShape() {
    return defaultShape;
  }

  public List<Integer> defaultTokens() {
    return defaultTokens;
  }

  /**
   * Tokens that one call runs through a whole model; 0 for a part of a model.
   *
   * @param texts number of sequences
   */
  int modelTokens(int tokens, int texts) {
    return switch (this) {
      case TRAIN_STEP, DISTILL_STEP, DECODE_BATCH -> tokens;
      case PREFILL -> tokens * texts;
      case DECODE -> texts; // {@code tokens} is the number of tokens in the cache
      default -> 0;
    };
  }

  /** True if a call runs a whole model, so that its whole time is what a user waits for. */
  boolean wholeModel() {
    return modelTokens(1, 1) > 0;
  }

  /**
   * Refuses an invalid number of tokens.
   *
   * @throws IllegalArgumentException with a one-sentence message
   */
  void requireTokens(int tokens) {
    switch (this) {
      case TRAIN_STEP, DISTILL_STEP -> TrainStepBench.requireTokens(this, tokens);
      case PREFILL, DECODE, DECODE_BATCH ->
          GenerationBench.requireTokens(this, tokens, GenerationModel.CONTEXT);
      case LOAD -> throw new IllegalArgumentException("--tokens: load takes none");
      default -> {}
    }
  }

  /** A lower bound for the bytes of the experts that {@link #open} allocates. */
  double expertBytes(LayerShape shape, DType dtype) {
    return switch (this) {
      case GATE, DISPATCH, COMBINE, BALANCE, ATTENTION, TRAIN_STEP, DISTILL_STEP -> 0;
      case GROUPED_GEMM, MOE_LAYER -> shape.copies() * shape.experts() * shape.expertBytes(dtype);
      // Training: a master and its gradient. Load: two layers of masters to write.
      case MOE_LAYER_TRAINING, LOAD -> 2 * shape.experts() * shape.expertBytes(DType.FLOAT32);
      // Blocks of 32 weights in 18 bytes.
      case ADAPTER_TRAINING -> shape.experts() * shape.expertBytes(DType.UINT8) * 18 / 32;
      case GROUPED_GEMM_DGRAD, GROUPED_GEMM_WGRAD, PREFILL, DECODE, DECODE_BATCH ->
          shape.experts() * shape.expertBytes(dtype);
    };
  }

  /** True if a call launches its kernels one by one, instead of replaying captured ones. */
  boolean eager() {
    return trainsModel()
        || this == MOE_LAYER_TRAINING
        || this == ADAPTER_TRAINING
        || this == PREFILL;
  }

  /** True if it trains a model, of the default shape or the demo's. */
  boolean trainsModel() {
    return this == TRAIN_STEP || this == DISTILL_STEP;
  }

  /** True if it runs a {@link GenerationModel}. */
  boolean generates() {
    return this == PREFILL || this == DECODE || this == DECODE_BATCH;
  }

  /**
   * Allocates the weights that this kind needs.
   *
   * @param model that prefill, decode and decode-batch run
   */
  public Bench open(
      Backend backend, GenerationModel model, LayerShape shape, DType dtype, long seed) {
    return switch (this) {
      case GATE, DISPATCH, COMBINE, BALANCE -> new RoutingBench(backend, this, shape, dtype, seed);
      case GROUPED_GEMM, GROUPED_GEMM_DGRAD, GROUPED_GEMM_WGRAD ->
          new GroupedGemmBench(backend, this, shape, dtype, seed);
      case MOE_LAYER -> new LayerBench(backend, shape, dtype, seed);
      case MOE_LAYER_TRAINING, ADAPTER_TRAINING ->
          new LayerTrainingBench(backend, this, shape, dtype, seed);
      case ATTENTION -> new AttentionBench(backend, shape, dtype, seed);
      case TRAIN_STEP -> new TrainStepBench(backend, TrainStepBench.model(shape), dtype, seed);
      case DISTILL_STEP -> new DistillStepBench(backend, TrainStepBench.model(shape), dtype, seed);
      case PREFILL, DECODE, DECODE_BATCH ->
          GenerationBench.drawn(backend, this, model.config(shape), dtype, seed);
      case LOAD -> LoadBench.drawn(backend, shape, dtype, seed);
    };
  }

  /** Loads the weights of a model's files, for a kind that {@link #takesFiles}. */
  Bench open(Backend backend, ModelFile file, DType compute, long seed) {
    return this == LOAD
        ? LoadBench.of(backend, file, compute)
        : GenerationBench.loaded(backend, this, file, compute, seed);
  }

  /** True if it can measure a model that is read from files. */
  boolean takesFiles() {
    return generates() || this == LOAD;
  }

  @JsonValue
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
