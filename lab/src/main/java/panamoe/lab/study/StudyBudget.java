package panamoe.lab.study;

import java.util.function.IntFunction;
import java.util.stream.IntStream;
import panamoe.config.ModelConfig;
import panamoe.train.DistillationConfig;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/**
 * The number of training steps per run, and of runs per variant.
 *
 * @param steps of each run, {@value #BATCH} sequences of {@value #SEQUENCE} tokens each
 * @param seeds runs of a variant
 * @param moreSeeds runs of a variant whose difference from others is expected to be below two
 *     deviations
 * @param firstSeed the first seed; the others are consecutive
 */
record StudyBudget(int steps, int seeds, int moreSeeds, long firstSeed) {
  static final int BATCH = 8;
  static final int SEQUENCE = 128;

  private static final double LEARNING_RATE = 3e-3;
  private static final int EVALUATIONS = 12;
  private static final int CHECKPOINTS = 4;
  private static final int VALIDATION_BATCHES = 64;

  /** About ten hours of one core. */
  static StudyBudget full(long seed) {
    return new StudyBudget(4000, 3, 5, seed);
  }

  /** A hundredth of the tokens and one seed, to check that everything runs. */
  static StudyBudget quick(long seed) {
    return new StudyBudget(40, 1, 1, seed);
  }

  /** Of models of eight layers: they need more tokens before their curve is flat. */
  StudyBudget deep() {
    return new StudyBudget(steps * 3 / 2, seeds, moreSeeds, firstSeed);
  }

  /** Twice the tokens, to see whether a curve was flat. */
  StudyBudget twice() {
    return new StudyBudget(2 * steps, seeds, moreSeeds, firstSeed);
  }

  /** A variant with every seed. */
  Variant seeds(String name, ModelConfig model) {
    return variant(name, seeds, seed -> run(name, model, seed, null, null));
  }

  /** A variant with more seeds. */
  Variant more(String name, ModelConfig model) {
    return variant(name, moreSeeds, seed -> run(name, model, seed, null, null));
  }

  /** Students with every seed, each distilled from the teacher of its seed. */
  Variant students(String name, ModelConfig model, DistillationConfig how, Variant teacher) {
    return variant(name, seeds, seed -> run(name, model, seed, how, teacher.runs().get(seed)));
  }

  private static Variant variant(String name, int count, IntFunction<StudyRun> run) {
    return new Variant(name, IntStream.range(0, count).mapToObj(run).toList());
  }

  private StudyRun run(
      String name, ModelConfig model, int index, DistillationConfig how, StudyRun teacher) {
    long seed = firstSeed + index;
    return new StudyRun(name + "-" + seed, new RunConfig(model, training(), seed, how), teacher);
  }

  private TrainConfig training() {
    long warmup = (long) Math.min(steps / 10, 100) * BATCH * SEQUENCE;
    return TrainConfig.of(
            new TrainConfig.Schedule(steps, LEARNING_RATE, LEARNING_RATE / 10, warmup),
            new TrainConfig.Batch(BATCH, SEQUENCE, 1))
        .with(
            new TrainConfig.Checkpoints(
                Math.max(1, steps / EVALUATIONS),
                Math.max(1, steps / CHECKPOINTS),
                VALIDATION_BATCHES,
                2.0));
  }
}
