package panamoe.distill;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.backend.Backend;
import panamoe.data.TokenSequences;
import panamoe.data.Tokenizer;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.op.DistillationOp;
import panamoe.op.MixedDivergenceOp;
import panamoe.op.Pass;
import panamoe.open.ModelFolder;
import panamoe.tensor.Tensor;
import panamoe.train.DistillationConfig;
import panamoe.train.Objective;
import panamoe.train.RunConfig;

/**
 * The objective of a student: cross-entropy plus alpha T^2 KL(teacher || student), or on-policy the
 * divergence on what the student writes, as {@link DistillationConfig} says. Once alpha is 0 the
 * teacher is closed. Used by one thread.
 */
public final class Distillation implements Objective {
  private final DistillationConfig config;
  private final long steps;
  private final MixedDivergenceOp.Tails tails;
  private TeacherStates teacher;

  Distillation(RunConfig run, TeacherStates teacher) {
    this.config = run.distillation();
    this.steps = run.training().schedule().steps();
    this.tails = StudentSamples.tails(run.training().batch().length());
    this.teacher = teacher;
  }

  /**
   * The sequences of a trainer: the text's, or on-policy those that the student goes on with.
   *
   * @param text the run's
   * @param student that is trained on {@code backend}
   */
  public static TokenSequences data(
      RunConfig run,
      TokenSequences text,
      Tokenizer tokenizer,
      Backend backend,
      LanguageModel student) {
    return run.distillation() == null || run.distillation().onPolicyMix() == null
        ? text
        : new StudentSamples(run, text, tokenizer, backend, student);
  }

  /**
   * @param run of the student
   * @param folder of the teacher, whose weights are loaded in the dtype of the run
   * @throws panamoe.checkpoint.CheckpointException if the weights are damaged, not finite or do not
   *     fit
   */
  public static Distillation from(RunConfig run, ModelFolder folder, Backend backend) {
    return from(run, load(run, folder, backend));
  }

  /**
   * @param run of the student
   * @param teacher with weights for inference; closed with this
   */
  public static Distillation from(RunConfig run, LanguageModel teacher) {
    return new Distillation(run, new Teacher(teacher));
  }

  /**
   * Creates a cache of a teacher's states, for all its students on one text; does nothing if it
   * exists.
   *
   * @param text SHA-256 of the run's text
   * @param windows of the text
   * @param backend that the teacher will run on
   * @param cache a folder that has this cache, is empty or does not exist
   * @return the most bytes that it takes for this run
   * @throws IllegalArgumentException if the folder holds something else, or the disk has no room
   */
  public static long beginCache(
      RunConfig run, ModelFolder folder, Backend backend, String text, long windows, Path cache)
      throws IOException {
    TeacherCache.Content content = content(run, folder, backend, text);
    double sequences =
        (double) run.training().schedule().steps() * run.training().batch().sequences();
    double asked = Math.ceil(sequences * run.distillation().stage().until());
    long bytes = (long) Math.min(asked, windows) * content.windowBytes();
    Path above = cache.toAbsolutePath().normalize();
    while (Files.notExists(above)) {
      above = above.getParent();
    }
    long free = Files.getFileStore(above).getUsableSpace();
    if (bytes - TeacherCache.bytesIn(cache) > free) {
      throw Require.refusal(
          "the teacher's cache takes up to %,d bytes, but the disk of %s has %,d free",
          bytes, cache, free);
    }
    TeacherCache.begin(cache, content);
    return bytes;
  }

  /**
   * A distillation whose teacher computes only states that the cache lacks; the bits are those
   * without a cache.
   *
   * @param data of the run
   * @param text SHA-256 of the text of {@code data}
   * @param cache from {@link #beginCache}
   */
  public static Distillation cached(
      RunConfig run,
      ModelFolder folder,
      Backend backend,
      TokenSequences data,
      String text,
      Path cache) {
    Teacher teacher = new Teacher(load(run, folder, backend));
    try {
      return new Distillation(
          run, new TeacherCache(cache, content(run, folder, backend, text), teacher, data::window));
    } catch (RuntimeException | Error e) {
      teacher.close();
      throw e;
    }
  }

  private static TeacherCache.Content content(
      RunConfig run, ModelFolder folder, Backend backend, String text) {
    return new TeacherCache.Content(
        folder.checkpoint().sha256(),
        text,
        run.training().batch().length(),
        folder.config().hidden(),
        run.training().dtype(),
        backend.name());
  }

  private static LanguageModel load(RunConfig run, ModelFolder folder, Backend backend) {
    return folder.load(backend, run.training().dtype());
  }

  @Override
  public Losses losses(Pass pass, LanguageModel model, Batch batch, long step, float dloss) {
    double alpha = config.alpha(step, steps);
    if (alpha == 0) {
      close();
      return LANGUAGE_MODELLING.losses(pass, model, batch, step, dloss);
    }
    Tensor hidden = batch.hidden(pass, model);
    double temperature = config.temperature();
    DistillationOp.Teacher asked =
        new DistillationOp.Teacher(
            (float) temperature,
            (float) (alpha * temperature * temperature),
            teacher.hidden(pass, batch),
            teacher.head().weight(),
            teacher.head().softCap());
    if (config.onPolicyMix() != null) {
      return onPolicy(pass, model, hidden, batch, asked, dloss);
    }
    DistillationOp.Losses losses = model.head().losses(pass, hidden, asked, batch.targets(), dloss);
    return Losses.of(losses.crossEntropies(), losses.divergences());
  }

  /** The sum of two means: over the text's targets, and over the rows of the student's half. */
  private Losses onPolicy(
      Pass pass,
      LanguageModel model,
      Tensor hidden,
      Batch batch,
      DistillationOp.Teacher asked,
      float dloss) {
    float perTarget = (float) tails.from() / (tails.length() - tails.from());
    Tensor divergences =
        model
            .head()
            .divergences(pass, hidden, asked, config.onPolicyMix(), tails, dloss * perTarget);
    pass.backend().add(perTarget, divergences, 0, divergences, divergences);
    return Losses.of(model.head().losses(pass, hidden, batch.targets(), dloss), divergences);
  }

  @Override
  public void close() {
    if (teacher != null) {
      teacher.close();
      teacher = null;
    }
  }
}
