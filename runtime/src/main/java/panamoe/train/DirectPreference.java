package panamoe.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.LongUnaryOperator;
import java.util.stream.DoubleStream;
import java.util.stream.LongStream;
import panamoe.checkpoint.CheckpointException;
import panamoe.comm.Communicator;
import panamoe.data.TokenSequences;
import panamoe.io.ConfigJson;
import panamoe.io.FileErrors;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.nn.Sequences;
import panamoe.op.NotFinite;
import panamoe.op.Pass;
import panamoe.op.PreferenceOp;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The objective of {@link PreferenceConfig}. The reference of a model with adapters is the model
 * without them, which runs in every step. If all weights are trained, it is computed before the
 * first step, for every pair of the data, and kept in the run's folder: two numbers for each pair
 * instead of a second copy of the weights. Used by one thread; collective over ranks.
 */
public final class DirectPreference implements Objective {
  /**
   * Log-probabilities of the reference, in nats: of each sequence's answers.
   *
   * @param training by the sequences' windows
   */
  record Scores(List<List<Double>> training, List<List<Double>> validation) {}

  private final double beta;
  private final TokenSequences data;
  private final RunFolder folder;
  private Scores scores; // null until they are needed

  /**
   * @param data of the run, pairs of answers
   * @param folder of the run
   */
  public DirectPreference(PreferenceConfig config, TokenSequences data, RunFolder folder) {
    this.beta = config.beta();
    this.data = data;
    this.folder = folder;
  }

  @Override
  public Losses losses(Pass pass, LanguageModel model, Batch batch, long step, float dloss) {
    double[] reference =
        adapted(model)
            ? unadapted(pass, model, batch)
            : of(scores(pass, model, step).training, batch, data::window);
    return losses(pass, model, batch, dloss, reference);
  }

  @Override
  public Objective ofValidation() {
    return (pass, model, batch, step, dloss) ->
        losses(
            pass,
            model,
            batch,
            dloss,
            adapted(model)
                ? unadapted(pass, model, batch)
                : of(scores(pass, model, step).validation, batch, number -> number));
  }

  private Losses losses(
      Pass pass, LanguageModel model, Batch batch, float dloss, double... reference) {
    PreferenceOp.Sums sums =
        model
            .head()
            .losses(
                pass,
                batch.hidden(pass, model),
                batch.sequences().texts(),
                batch.targets(),
                new PreferenceOp.Reference(beta, reference),
                dloss);
    return new Losses(sums.nats(), 0, sums);
  }

  private static boolean adapted(LanguageModel model) {
    return model.parameters().parameters().stream().anyMatch(each -> each.adapter() != null);
  }

  /** The log-probabilities of the model without its adapters. */
  private static double[] unadapted(Pass pass, LanguageModel model, Batch batch) {
    try (TensorScope scope = TensorScope.confined(pass.backend())) {
      return scored(Pass.inference(pass.backend(), scope).unadapted(), model, batch);
    }
  }

  private static double[] scored(Pass pass, LanguageModel model, Batch batch) {
    try {
      Tensor hidden = batch.hidden(pass, model);
      int[] texts = batch.sequences().texts();
      double[] each = model.head().logProbabilities(pass, hidden, texts, batch.targets());
      if (!Arrays.stream(each).allMatch(Double::isFinite)) {
        throw new NotFinite("");
      }
      return each;
    } catch (NotFinite e) { // the trainer would look for a layer in memory that is freed
      throw new TrainingFailure("the reference of the model: " + e.getMessage(), e);
    }
  }

  /**
   * @param windows the index in {@code given} of a sequence
   */
  private double[] of(List<List<Double>> given, Batch batch, LongUnaryOperator windows) {
    long sequences = batch.ids().count() / data.length();
    return LongStream.range(batch.first(), batch.first() + sequences)
        .map(windows)
        .filter(window -> window < given.size()) // validation ends with empty sequences
        .mapToObj(window -> given.get((int) window))
        .flatMapToDouble(each -> each.stream().mapToDouble(Double::doubleValue))
        .toArray();
  }

  private Scores scores(Pass pass, LanguageModel model, long step) {
    if (scores == null) {
      Communicator world = model.parameters().ranks().world();
      if (step > 0) {
        scores = read(world);
      } else {
        scores = new Scores(scored(pass, model, true), scored(pass, model, false));
        if (world.rank() == 0) {
          folder.update(RunFolder.REFERENCE, scores);
        }
      }
    }
    return scores;
  }

  /** Only one rank looks, because others may see the folder late. */
  private Scores read(Communicator world) {
    Path file = folder.path().resolve(RunFolder.REFERENCE);
    try {
      byte[] bytes = world.rank() == 0 ? folder.files().read(RunFolder.REFERENCE) : null;
      String text = new String(world.broadcast(bytes, 0), UTF_8);
      Scores read = ConfigJson.parse(text, Scores.class, file.toString());
      Require.that(
          read.training.size() == data.trainingSequences()
              && read.validation.size() == data.validationSequences(),
          "%s is of other pairs of answers",
          file);
      return read;
    } catch (IOException e) {
      throw new CheckpointException("cannot read " + file + ": " + FileErrors.reason(e), e);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(e.getMessage(), e);
    }
  }

  /** The model's own log-probabilities of all training or validation sequences. */
  private List<List<Double>> scored(Pass pass, LanguageModel model, boolean training) {
    Communicator ranks = model.parameters().ranks().data();
    int count = Math.toIntExact(training ? data.trainingSequences() : data.validationSequences());
    List<List<Double>> all = new ArrayList<>(Collections.nCopies(count, null));
    for (int first = 0; first < count; first += ranks.size()) {
      double[] mine = scored(pass, model, first + ranks.rank(), training);
      for (int rank = 0; rank < ranks.size(); rank++) {
        ByteBuffer bytes = ByteBuffer.allocate(mine.length * Double.BYTES);
        bytes.asDoubleBuffer().put(mine);
        byte[] theirs = ranks.broadcast(rank == ranks.rank() ? bytes.array() : null, rank);
        int number = first + rank;
        if (number < count) {
          double[] values = new double[theirs.length / Double.BYTES];
          ByteBuffer.wrap(theirs).asDoubleBuffer().get(values);
          all.set(
              training ? (int) data.window(number) : number,
              DoubleStream.of(values).boxed().toList());
        }
      }
    }
    return all;
  }

  private double[] scored(Pass pass, LanguageModel model, long number, boolean training) {
    try (TensorScope scope = TensorScope.confined(pass.backend())) {
      Tensor ids = scope.allocate(DType.INT32, data.length());
      Tensor targets = scope.allocate(DType.INT32, data.length());
      TokenSequences.Filled filled =
          training
              ? data.fillTraining(number, ids, targets)
              : data.fillValidation(number, ids, targets);
      Sequences.Whole texts = Sequences.Whole.packed(scope, data.length(), filled.texts());
      Batch batch = new Batch(number, ids, texts, targets, filled.used(scope), false);
      return scored(Pass.inference(pass.backend(), scope), model, batch);
    }
  }
}
