package panamoe.harness.plan;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;
import panamoe.tensor.DType;

/** Models whose steps are timed. All ranks open and close them together. */
final class MeasuredModels implements AutoCloseable {
  private static final int VOCABULARY = 8192;
  private static final int CONTEXT = 512;
  private static final int HEAD_SIZE = 64;

  private final Ranks ranks;
  private final Backend backend;
  private final DType dtype;
  private final Map<ModelConfig, LanguageModel> open = new LinkedHashMap<>();

  /**
   * @param dtype of weights and activations
   */
  MeasuredModels(Ranks ranks, Backend backend, DType dtype) {
    this.ranks = ranks;
    this.backend = backend;
    this.dtype = dtype;
  }

  /** The next token of each of {@code batch} texts on each data rank. */
  StepProbe decode(ModelConfig config, int batch) {
    return StepProbe.decode(backend, model(config), batch, dtype);
  }

  /** A prompt of {@code tokens} on each data rank. */
  StepProbe prompt(ModelConfig config, int tokens) {
    return StepProbe.prompt(backend, model(config), tokens, dtype);
  }

  private LanguageModel model(ModelConfig config) {
    return open.computeIfAbsent(config, _ -> new LanguageModel(config, ranks));
  }

  @Override
  public void close() {
    open.values().forEach(LanguageModel::close);
  }

  static ModelConfig dense(int hidden, int layers) {
    return model(hidden, 4 * hidden, Collections.nCopies(layers, 0), 1);
  }

  /** Experts as wide as MLPs on every other layer, as in the paper. */
  static ModelConfig everyOther(int hidden, int layers, int experts, int topK) {
    return model(
        hidden,
        4 * hidden,
        IntStream.range(0, layers).mapToObj(i -> i % 2 == 1 ? experts : 0).toList(),
        topK);
  }

  /** Narrow experts on every layer, as in models of many experts. */
  static ModelConfig everyLayer(int hidden, int layers, int experts, int topK) {
    return model(hidden, hidden / 2, Collections.nCopies(layers, experts), topK);
  }

  private static ModelConfig model(int hidden, int inner, List<Integer> experts, int topK) {
    return new UniformModel(
            VOCABULARY,
            CONTEXT,
            hidden,
            hidden / HEAD_SIZE,
            hidden / HEAD_SIZE,
            inner,
            experts,
            false,
            experts.contains(0) && Collections.max(experts) == 0 ? null : GateConfig.dropless(topK),
            Activation.GELU_TANH,
            NormConfig.Kind.LAYER,
            UniformModel.Positions.LEARNED,
            true,
            0.02)
        .toConfig();
  }
}
