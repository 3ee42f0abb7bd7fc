package panamoe.train;

import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.data.TokenSequences;
import panamoe.data.TrainingData;
import panamoe.eval.TextEvaluator;
import panamoe.eval.TextScore;
import panamoe.model.LanguageModel;
import panamoe.op.RouteObserver;

/** Measures a model on the validation part of a text. */
public final class Validation {
  private Validation() {}

  /**
   * Bits per byte over the validation batches; deterministic. Collective over the model's ranks.
   *
   * @param training gives length and number of the batches
   * @param observer receives every gate's routes
   */
  public static double bitsPerByte(
      Backend backend,
      LanguageModel model,
      TrainConfig training,
      TokenSequences data,
      RouteObserver observer) {
    Communicator ranks = model.parameters().ranks().data();
    int sequences = training.batch().microSequences();
    int mine = sequences / ranks.size();
    long parts = parts(training, data);
    TextEvaluator evaluator = new TextEvaluator(backend, model);
    TextScore score = TextScore.NONE;
    for (long part = 0; part < parts; part++) {
      long first = part * sequences + (long) mine * ranks.rank();
      score =
          score.plus(
              evaluator.batch(
                  data::fillValidation, first, mine, training.batch().length(), observer));
    }
    return ranks.allReduce(score.nats())
        / Math.log(2)
        / Math.round(ranks.allReduce((double) score.bytes()));
  }

  /** The number of predicted tokens. */
  public static long tokens(TrainConfig training, TrainingData data) {
    return data.validationTokens(parts(training, data) * training.batch().microSequences());
  }

  private static long parts(TrainConfig training, TokenSequences data) {
    TrainConfig.Batch batch = training.batch();
    long wanted = (long) training.checkpoints().validationBatches() * batch.microBatches();
    return Math.min(wanted, Math.ceilDiv(data.validationSequences(), batch.microSequences()));
  }
}
