package panamoe.train;

/**
 * A run that must not go on: a number that is not finite, or a loss that jumped. The message names
 * step and layer.
 */
public final class TrainingFailure extends RuntimeException {
  private static final long serialVersionUID = 1;

  TrainingFailure(String message) {
    super(message);
  }

  TrainingFailure(String message, Throwable cause) {
    super(message, cause);
  }
}
