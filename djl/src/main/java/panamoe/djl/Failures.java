package panamoe.djl;

import ai.djl.engine.EngineException;
import java.util.function.Supplier;
import panamoe.api.PanamoeException;

/** Translates the facade's exceptions into those of DJL's methods. */
final class Failures {
  private Failures() {}

  /**
   * Runs a computation.
   *
   * @throws IllegalArgumentException for a {@link PanamoeException.BadArgument}
   * @throws EngineException for another {@link PanamoeException}
   */
  static <T> T translating(Supplier<T> computation) {
    try {
      return computation.get();
    } catch (PanamoeException.BadArgument e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    } catch (PanamoeException e) {
      throw new EngineException(e.getMessage(), e);
    }
  }
}
