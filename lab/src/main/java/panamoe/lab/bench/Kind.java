package panamoe.lab.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import panamoe.backend.Backend;
import panamoe.io.Require;
import panamoe.tensor.DType;

/** The kinds of measurement; {@link BenchCommand} describes them. */
public enum Kind {
  GATE("gate", "s1", List.of(1, 8, 64, 512, 2048)),
  DISPATCH("dispatch", "s1", List.of(1, 8, 64, 512, 2048)),
  COMBINE("combine", "s1", List.of(1, 8, 64, 512, 2048)),
  BALANCE("balance", "s1", List.of(512, 2048)),
  GROUPED_GEMM("grouped-gemm", "s1", List.of(1, 8, 64, 512, 2048)),
  GROUPED_GEMM_DGRAD("grouped-gemm-dgrad", "s1", List.of(64, 512, 2048)),
  GROUPED_GEMM_WGRAD("grouped-gemm-wgrad", "s1", List.of(64, 512, 2048)),
  MOE_LAYER("moe-layer", "s1", List.of(1, 8, 64, 512, 2048)),
  MOE_LAYER_TRAINING("moe-layer-training", "s1", List.of(512, 2048)),
  ATTENTION("attention", "2048x2048x8x1", List.of(512, 4096)),
  TRAIN_STEP("train-step", "256x1024x16x1", List.of(2048)),
  DISTILL_STEP("distill-step", "256x1024x16x1", List.of(2048)),
  PREFILL("prefill", "1024x4096x16x1", List.of(512)),
  DECODE("decode", "1024x4096x16x1", List.of(64)),
  DECODE_BATCH("decode-batch", "1024x4096x16x1", List.of(1, 2, 4, 8, 16, 32, 64)),
  LOAD("load", "512x2048x16x1", List.of(0));

  private final String label;
  private final String defaultShape;
  private final List<Integer> defaultTokens;

  Kind(String label, String defaultShape, List<Integer> defaultTokens) {
    this.label = label;
    this.defaultShape = defaultShape;
    this.defaultTokens = defaultTokens;
  }

  /** The labels, for completion. */
  static final class Labels extends ArrayList<String> {
    Labels() {
      super(Arrays.stream(values()).map(Kind::label).toList());
    }
  }

  /**
   * The kind called {@code label}.
   *
   * @throws IllegalArgumentException that lists all kinds, if it is unknown
   */
  public static Kind of(String label) {
    return Arrays.stream(values())
        .filter(kind -> kind.label.equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                Require.refusal(
                    "there is no benchmark '%s', expected one of %s",
                    label,
                    Arrays.stream(values()).map(Kind::label).collect(Collectors.joining(", "))));
  }

  public String label() {
    return label;
  }

  public String defaultShape() {
    return defaultShape;
  }

  public List<Integer> defaultTokens() {
    return defaultTokens;
  }

  /**
   * Tokens that one call runs through a whole model; 0 for a kind that runs only a part of a model.
   *
   * @param texts of a prefill or a decode
   */
  int modelTokens(int tokens, int texts) {
    return switch (this) {
      case TRAIN_STEP, DISTILL_STEP, DECODE_BATCH -> tokens;
      case PREFILL -> tokens * texts;
      case DECODE -> texts; // {@code tokens} is the number of tokens in the cache
      default -> 0;
    };
  }

  /** Whether a call runs a whole model, so that its time is the one that a user waits. */
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
      case TRAIN_STEP, DISTILL_STEP -> TrainStepSubject.requireTokens(this, tokens);
      case PREFILL, DECODE, DECODE_BATCH ->
          GenerationSubject.requireTokens(this, tokens, GenerationModel.CONTEXT);
      case LOAD -> throw new IllegalArgumentException("--tokens: load takes none");
      default -> {}
    }
  }

  /** A lower bound for the bytes of the experts that {@link #open} allocates. */
  double expertBytes(LayerShape shape, DType dtype) {
    return switch (this) {
      case GATE, DISPATCH, COMBINE, BALANCE, ATTENTION, TRAIN_STEP, DISTILL_STEP -> 0;
      case GROUPED_GEMM, MOE_LAYER -> shape.copies() * shape.experts() * shape.expertBytes(dtype);
      // A master and its gradient; two layers of masters to be written.
      case MOE_LAYER_TRAINING, LOAD -> 2 * shape.experts() * shape.expertBytes(DType.FLOAT32);
      case GROUPED_GEMM_DGRAD, GROUPED_GEMM_WGRAD, PREFILL, DECODE, DECODE_BATCH ->
          shape.experts() * shape.expertBytes(dtype);
    };
  }

  /** Whether it runs a {@link GenerationModel}. */
  boolean generates() {
    return this == PREFILL || this == DECODE || this == DECODE_BATCH;
  }

  /**
   * Allocates the weights that this kind needs.
   *
   * @param model that prefill, decode and decode-batch run
   */
  public Subject open(
      Backend backend, GenerationModel model, LayerShape shape, DType dtype, long seed) {
    return switch (this) {
      case GATE, DISPATCH, COMBINE, BALANCE ->
          new RoutingSubject(backend, this, shape, dtype, seed);
      case GROUPED_GEMM, GROUPED_GEMM_DGRAD, GROUPED_GEMM_WGRAD ->
          new ExpertSubject(backend, this, shape, dtype, seed);
      case MOE_LAYER -> new LayerSubject(backend, shape, dtype, seed);
      case MOE_LAYER_TRAINING -> new LayerTrainingSubject(backend, shape, dtype, seed);
      case ATTENTION -> new AttentionSubject(backend, shape, dtype, seed);
      case TRAIN_STEP -> new TrainStepSubject(backend, dtype, seed);
      case DISTILL_STEP -> new DistillStepSubject(backend, dtype, seed);
      case PREFILL, DECODE, DECODE_BATCH ->
          GenerationSubject.drawn(backend, this, model.config(shape), dtype, seed);
      case LOAD -> LoadSubject.drawn(backend, shape, dtype, seed);
    };
  }

  /** Loads the weights of a model's files, for a kind that {@link #takesFiles}. */
  Subject open(Backend backend, ModelFile file, DType compute, long seed) {
    return this == LOAD
        ? LoadSubject.of(backend, file, compute)
        : GenerationSubject.loaded(backend, this, file, compute, seed);
  }

  /** Whether it measures models that are read from files. */
  boolean takesFiles() {
    return generates() || this == LOAD;
  }
}
