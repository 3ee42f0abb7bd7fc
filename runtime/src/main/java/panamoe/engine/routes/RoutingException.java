package panamoe.engine.routes;

/** A {@link Routing} does not fit the model's layers. */
public final class RoutingException extends IllegalArgumentException {
  public RoutingException(String message) {
    super(message);
  }
}
