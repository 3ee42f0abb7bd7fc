package panamoe.lab.study;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Times decode steps of models with random weights and tokens. The models take turns, so that other
 * load affects all equally.
 */
record DecodeTiming(Supplier<Backend> open) implements Inference.Stopwatch {
  private static final int ROUNDS = 16;
  private static final int STEPS_OF_A_TURN = 8;
  private static final int LENGTH = ROUNDS * STEPS_OF_A_TURN;

  @Override
  public double[][] secondsPerStep(List<ModelConfig> configs, int[] batches) {
    List<LanguageModel> models = new ArrayList<>();
    try (Backend backend = open.get()) {
      try {
        for (ModelConfig config : configs) {
          LanguageModel model = new LanguageModel(config);
          models.add(model);
          model.materialize(backend, DType.FLOAT32, false, 1);
          model.pack(backend, DType.FLOAT32);
        }
        double[][] seconds = new double[models.size()][batches.length];
        for (int i = 0; i < batches.length; i++) {
          double[] ofBatch = inTurns(backend, models, batches[i]);
          for (int model = 0; model < ofBatch.length; model++) {
            seconds[model][i] = ofBatch[model];
          }
        }
        return seconds;
      } finally {
        models.forEach(LanguageModel::close);
      }
    }
  }

  private static double[] inTurns(Backend backend, List<LanguageModel> models, int batch) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      List<Decoding> decodings =
          models.stream().map(model -> new Decoding(backend, scope, model, batch)).toList();
      for (int round = 0; round < ROUNDS; round++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException("interrupted");
        }
        decodings.forEach(Decoding::turn);
      }
      return decodings.stream().mapToDouble(Decoding::lowerQuartile).toArray();
    }
  }

  /** The sequences of one model, which grow by a token per step. */
  private static final class Decoding {
    private final Backend backend;
    private final LanguageModel model;
    private final Tensor tokens;
    private final Tensor positions;
    private final Sequences sequences;
    private final int batch;
    private final Random random = new Random(1);
    private final double[] seconds = new double[LENGTH];
    private int done;

    Decoding(Backend backend, TensorScope scope, LanguageModel model, int batch) {
      this.backend = backend;
      this.model = model;
      this.batch = batch;
      tokens = scope.zeros(DType.INT32, batch);
      positions = scope.zeros(DType.INT32, batch);
      Tensor slots = scope.zeros(DType.INT32, batch);
      slots.set(IntStream.range(0, batch).toArray());
      // One block per sequence: slot i has block i.
      sequences =
          new Sequences.Running(
              model.cache(scope, model.activationDType(), batch, LENGTH),
              slots.reshape(batch, 1),
              slots,
              positions);
    }

    void turn() {
      for (int i = 0; i < STEPS_OF_A_TURN; i++) {
        step();
      }
    }

    private void step() {
      tokens.set(random.ints(batch, 0, model.config().vocabulary()).toArray());
      positions.set(IntStream.generate(() -> done).limit(batch).toArray());
      long start = System.nanoTime();
      try (TensorScope activations = TensorScope.confined(backend)) {
        Pass pass = Pass.inference(backend, activations);
        model.head().logits(pass, model.forward(pass, tokens, sequences, null, false));
        backend.synchronize();
      }
      seconds[done++] = (System.nanoTime() - start) / 1e9;
    }

    /** The lower quartile of all steps, because other load only makes steps slower. */
    double lowerQuartile() {
      double[] sorted = seconds.clone();
      Arrays.sort(sorted);
      return sorted[sorted.length / 4];
    }
  }
}
