package panamoe.eval;

/** The number of tasks and of correct answers. */
public record Accuracy(long correct, long tasks) {
  /** The 97.5 % quantile of the normal distribution: 95 % lie within it on both sides. */
  private static final double Z = 1.959963984540054;

  /** The fraction, 0 to 1. */
  public double fraction() {
    return (double) correct / tasks;
  }

  /** The standard error of the fraction; NaN of a single task. */
  public double error() {
    return Mean.of(correct, correct, tasks).error();
  }

  /** The lower end of Wilson's 95 % interval of the fraction. */
  public double low() {
    return Math.max(0, middle() - half());
  }

  /** The upper end of Wilson's 95 % interval of the fraction. */
  public double high() {
    return Math.min(1, middle() + half());
  }

  private double middle() {
    return (correct + Z * Z / 2) / (tasks + Z * Z);
  }

  private double half() {
    return Z
        / (tasks + Z * Z)
        * Math.sqrt((double) correct * (tasks - correct) / tasks + Z * Z / 4);
  }
}
