package panamoe.engine;

/** A {@link Routing} does not fit the model's layers. */
public final class RoutingException extends IllegalArgumentException {
  RoutingException(String message) {
    super(message);
  }
}
