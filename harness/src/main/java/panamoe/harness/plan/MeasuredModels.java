package panamoe.harness.plan;

import java.util.ArrayList;
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
import panamoe.harness.probe.TimedGeneration;
import panamoe.model.LanguageModel;
import panamoe.nn.Work;
import panamoe.parallel.Ranks;
import panamoe.tensor.DType;
import panamoe.train.TrainConfig;

/** The small models whose steps are timed. Construction and close are collective. */
record MeasuredModels(
    Ranks ranks,
    Backend backend,
    DType dtype,
    Map<ModelConfig, LanguageModel> open,
    List<LanguageModel> trained)
    implements AutoCloseable {
  private static final int VOCABULARY = 8192;
  private static final int CONTEXT = 512;
  private static final int HEAD_SIZE = 64;
  private static final int LENGTH = 40; // tokens of a decoded sequence
  private static final int MOST_STEPS = 1_000_000;

  MeasuredModels(Ranks ranks, Backend backend, DType dtype) {
    this(ranks, backend, dtype, new LinkedHashMap<>(), new ArrayList<>());
  }

  /** A decode step of {@code batch} sequences per data rank. */
  Probe decode(ModelConfig config, int batch) {
    // The average tokens in the cache during the timed steps.
    return probe(config, batch, LENGTH, 1, Work.decode(batch, LENGTH * 3 / 5, dtype));
  }

  /** A prefill of {@code tokens} per data rank. */
  Probe prompt(ModelConfig config, int tokens) {
    return probe(config, 1, 1, tokens, Work.prefill(tokens, dtype));
  }

  private Probe probe(ModelConfig config, int batch, int length, int prompt, Work work) {
    int all = batch * ranks.topology().dataDegree();
    LanguageModel model = open.computeIfAbsent(config, _ -> new LanguageModel(config, ranks));
    TimedGeneration texts = new TimedGeneration(all, length, prompt, 0, ServingProbe.SEED);
    return new ServingProbe(backend, model, texts, work.over(ranks.topology()));
  }

  /** An optimizer step over {@code sequences} of {@code length} tokens per data rank. */
  Probe train(ModelConfig config, int sequences, int length) {
    LanguageModel model = new LanguageModel(config, ranks);
    trained.add(model);
    int all = sequences * ranks.topology().dataDegree();
    return new TrainingProbe(
        backend, model, TrainConfig.of(MOST_STEPS, all, length).withDType(dtype));
  }

  @Override
  public void close() {
    open.values().forEach(LanguageModel::close);
    trained.forEach(LanguageModel::close);
  }

  static ModelConfig dense(int hidden, int layers) {
    return model(hidden, 4 * hidden, Collections.nCopies(layers, 0), 1, false);
  }

  /** Like in the paper: experts as wide as an MLP on every other layer. */
  static ModelConfig everyOther(int hidden, int layers, int experts, int topK) {
    return model(hidden, 4 * hidden, everyOther(layers, List.of(experts)), topK, false);
  }

  /**
   * A Residual-MoE model: every other layer has top-1 experts next to an MLP for all tokens.
   *
   * @param experts number per MoE layer; the last one holds for all further layers
   */
  static ModelConfig residual(int hidden, int layers, List<Integer> experts) {
    return model(hidden, 4 * hidden, everyOther(layers, experts), 1, true);
  }

  private static List<Integer> everyOther(int layers, List<Integer> experts) {
    return IntStream.range(0, layers)
        .mapToObj(i -> i % 2 == 0 ? 0 : experts.get(Math.min(i / 2, experts.size() - 1)))
        .toList();
  }

  /** Narrow experts on every layer, like in models of many experts. */
  static ModelConfig everyLayer(int hidden, int layers, int experts, int topK) {
    return model(hidden, hidden / 2, Collections.nCopies(layers, experts), topK, false);
  }

  private static ModelConfig model(
      int hidden, int inner, List<Integer> experts, int topK, boolean residual) {
    return new UniformModel(
            VOCABULARY,
            CONTEXT,
            hidden,
            new UniformModel.Attention(
                hidden / HEAD_SIZE, hidden / HEAD_SIZE, UniformModel.Positions.LEARNED),
            new UniformModel.FeedForward(
                inner,
                Activation.GELU_TANH,
                experts,
                residual,
                experts.contains(0) && Collections.max(experts) == 0
                    ? null
                    : GateConfig.dropless(topK)),
            NormConfig.Kind.LAYER,
            true,
            0.02)
        .toConfig();
  }
}
