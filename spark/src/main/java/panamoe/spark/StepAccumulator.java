package panamoe.spark;

import org.apache.spark.util.AccumulatorV2;
import panamoe.io.Words;
import panamoe.train.StepMetrics;

/**
 * The last step of a run. The first rank adds its steps; the driver gets the value with the
 * heartbeats of its executor, and Spark's page of the stage shows it.
 */
final class StepAccumulator extends AccumulatorV2<StepAccumulator.Done, String> {
  private static final long serialVersionUID = 1;

  /** A step in words. */
  record Done(long step, String words) implements java.io.Serializable {
    static final Done NOTHING = new Done(0, "");

    static Done of(StepMetrics metrics, int steps) {
      String validated =
          metrics.validation() == null
              ? ""
              : Words.of(", validation %.4f bits per byte", metrics.validation().bitsPerByte());
      return new Done(
          metrics.step(),
          Words.of(
              "step %,d of %,d: loss %.4f, %.4f bits per byte, %,.0f tokens/s%s",
              metrics.step(),
              steps,
              metrics.loss(),
              metrics.bitsPerByte(),
              metrics.tokensPerSecond(),
              validated));
    }
  }

  private volatile Done last = Done.NOTHING;

  @Override
  public boolean isZero() {
    return last.step == 0;
  }

  @Override
  public StepAccumulator copy() {
    StepAccumulator copy = new StepAccumulator();
    copy.last = last;
    return copy;
  }

  @Override
  public void reset() {
    last = Done.NOTHING;
  }

  @Override
  public void add(Done step) {
    last = step;
  }

  @Override
  public void merge(AccumulatorV2<Done, String> other) {
    Done theirs = ((StepAccumulator) other).last;
    if (theirs.step > last.step) {
      last = theirs;
    }
  }

  /** The step in words; empty before the first. */
  @Override
  public String value() {
    return last.words;
  }
}
