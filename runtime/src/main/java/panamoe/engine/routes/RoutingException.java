package panamoe.engine.routes;

import panamoe.io.Words;

/** A {@link Routing} does not fit the model's layers. */
public final class RoutingException extends IllegalArgumentException {
  /**
   * @param pattern of the message, by {@link Words#of}
   */
  public RoutingException(String pattern, Object... values) {
    super(Words.of(pattern, values));
  }
}
