package panamoe.api.internal;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.Supplier;
import panamoe.backend.Backend;
import panamoe.model.LanguageModel;

/**
 * Gives other modules of Panamoe access to a facade object, without public methods on it.
 *
 * @param backend of its device
 * @param weights for inference kernels, to call inside a call of the device; null for an object
 *     without weights
 */
public record Access(Backend backend, Lifetime lifetime, Supplier<LanguageModel> weights) {
  private static final Map<Class<?>, Function<Object, Access>> BY_TYPE = new ConcurrentHashMap<>();

  /** Called by a class in its initializer, before any object of it exists. */
  public static <T> void offer(Class<T> type, Function<T, Access> access) {
    BY_TYPE.put(type, object -> access.apply(type.cast(object)));
  }

  /**
   * The access to an argument.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if it is null
   */
  public static Access to(String name, Object given) {
    Failures.run(() -> Argument.notNull(name, given));
    return BY_TYPE.get(given.getClass()).apply(given);
  }
}
