package panamoe.train;

/**
 * Training must stop: a value is not finite, or the loss jumped. The message names step and layer.
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
