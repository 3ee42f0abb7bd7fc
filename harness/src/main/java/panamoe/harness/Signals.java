package panamoe.harness;

import java.lang.reflect.Proxy;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Signals that this process handles itself. The only API for one that may come again is {@code
 * sun.misc.Signal}, which compilers warn of, so it is called by reflection; without it a signal
 * does what it usually does.
 */
public final class Signals {
  private Signals() {}

  /**
   * Calls {@code onSignal} at each of these signals, on a thread of its own.
   *
   * @param names without SIG, e.g. INT
   * @return what restores the handlers that were there before
   */
  public static Runnable handle(Runnable onSignal, String... names) {
    Deque<Runnable> restore = new ArrayDeque<>();
    try {
      Class<?> handler = Class.forName("sun.misc.SignalHandler");
      Object told =
          Proxy.newProxyInstance(
              handler.getClassLoader(),
              new Class<?>[] {handler},
              (_, method, _) -> {
                if (method.getName().equals("handle")) {
                  onSignal.run();
                }
                return null;
              });
      for (String name : names) {
        Object before = set(name, told);
        restore.push(() -> setQuietly(name, before));
      }
    } catch (ReflectiveOperationException _) {
      // default handling
    }
    return () -> restore.forEach(Runnable::run);
  }

  private static void setQuietly(String name, Object handler) {
    try {
      set(name, handler);
    } catch (ReflectiveOperationException _) {
      // it stays
    }
  }

  /** Returns the handler that was there. */
  private static Object set(String name, Object handler) throws ReflectiveOperationException {
    Class<?> signal = Class.forName("sun.misc.Signal");
    return signal
        .getMethod("handle", signal, Class.forName("sun.misc.SignalHandler"))
        .invoke(null, signal.getConstructor(String.class).newInstance(name), handler);
  }
}
