package panamoe.train;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.data.TokenSequences;
import panamoe.model.LanguageModel;

/** A trainer of two small layers with its backend and model. */
record TrainerBench(Backend backend, LanguageModel model, Trainer trainer)
    implements AutoCloseable {
  static final int BATCH = 8;
  static final int SEQUENCE = 16;

  static RunConfig config(Architecture architecture, GateConfig gate, TrainConfig training) {
    List<Integer> experts =
        switch (architecture) {
          case DENSE -> List.of(0, 0);
          case MOE, RESIDUAL, DEEPSEEK -> List.of(0, 4);
          case PYRAMID, PR_MOE -> List.of(2, 4);
          case MIXTRAL -> List.of(4, 4);
        };
    boolean mixtral = architecture == Architecture.MIXTRAL;
    ModelConfig model =
        new UniformModel(
                SyntheticSequences.VOCABULARY,
                SEQUENCE,
                32,
                new UniformModel.Attention(4, 4, UniformModel.Positions.LEARNED),
                new UniformModel.FeedForward(
                    64,
                    mixtral ? Activation.SWIGLU : Activation.GELU_TANH,
                    experts,
                    architecture == Architecture.RESIDUAL || architecture == Architecture.PR_MOE,
                    architecture == Architecture.DENSE ? null : gate),
                mixtral ? NormConfig.Kind.RMS : NormConfig.Kind.LAYER,
                !mixtral,
                0.05)
            .toConfig();
    return new RunConfig(model, training, 5);
  }

  static TrainConfig steps(int steps) {
    return TrainConfig.of(steps, BATCH, SEQUENCE);
  }

  static TrainerBench open(RunConfig config, int threads) {
    return open(config, threads, new SyntheticSequences(SEQUENCE, 9));
  }

  static TrainerBench open(RunConfig config, int threads, TokenSequences data) {
    Backend backend = Backends.open("cpu", threads);
    LanguageModel model = new LanguageModel(config.model());
    model.materialize(backend, config.training().dtype(), true, config.seed());
    return new TrainerBench(backend, model, new Trainer(backend, model, config, data));
  }

  List<float[]> weights() {
    return model.parameters().parameters().stream().map(p -> p.master().toFloats()).toList();
  }

  @Override
  public void close() {
    model.close();
    backend.close();
  }
}
