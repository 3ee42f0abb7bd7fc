package panamoe.api.internal;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.Supplier;
import panamoe.backend.Backend;
import panamoe.model.LanguageModel;

/**
 * What other modules of Panamoe need of an object of the facade, without public methods on it.
 *
 * @param backend of its device
 * @param weights as kernels read them, asked for inside a call of the device; null for an object
 *     without any
 */
public record Access(Backend backend, Lifetime lifetime, Supplier<LanguageModel> weights) {
  private static final Map<Class<?>, Function<Object, Access>> BY_TYPE = new ConcurrentHashMap<>();

  /** Called by a class when it is initialized, so before there is an object of it. */
  public static <T> void offer(Class<T> type, Function<T, Access> access) {
    BY_TYPE.put(type, object -> access.apply(type.cast(object)));
  }

  /**
   * The access to an object that was given as an argument.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if it is null
   */
  public static Access to(String name, Object given) {
    Failures.run(() -> Argument.notNull(name, given));
    return BY_TYPE.get(given.getClass()).apply(given);
  }
}
