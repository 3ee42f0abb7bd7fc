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
   * @param training length and number of the batches
   * @param observer receives every gate's routes
   */
  public static double bitsPerByte(
      Backend backend,
      LanguageModel model,
      TrainConfig training,
      TokenSequences data,
      RouteObserver observer) {
    Communicator ranks = model.parameters().ranks().data();
    int sequences = sequencesOfPart(training);
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

  /** The number of tokens of the text that are predicted. */
  public static long tokens(TrainConfig training, TrainingData data) {
    return data.validationTokens(parts(training, data) * sequencesOfPart(training));
  }

  private static int sequencesOfPart(TrainConfig training) {
    return training.batch().microSequences();
  }

  private static long parts(TrainConfig training, TokenSequences data) {
    long wanted =
        (long) training.checkpoints().validationBatches() * training.batch().microBatches();
    return Math.min(wanted, Math.ceilDiv(data.validationSequences(), sequencesOfPart(training)));
  }
}
