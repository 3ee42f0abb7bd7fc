package panamoe.harness.serve;

import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * SIGTERM and SIGINT, at which a server drains instead of ending. The only API for a second signal
 * is {@code sun.misc.Signal}, which compilers warn of, so it is called by reflection; without it a
 * signal ends the process.
 */
final class StopSignals {
  private static final AtomicBoolean HANDLED = new AtomicBoolean();

  private StopSignals() {}

  /**
   * Calls {@code onSignal} at each of these signals.
   *
   * @throws IllegalStateException at a second call: a process has one handler
   */
  static void handle(Runnable onSignal) {
    if (HANDLED.getAndSet(true)) {
      throw new IllegalStateException("the signals that stop this process are handled already");
    }
    try {
      Class<?> signal = Class.forName("sun.misc.Signal");
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
      for (String name : new String[] {"TERM", "INT"}) {
        signal
            .getMethod("handle", signal, handler)
            .invoke(null, signal.getConstructor(String.class).newInstance(name), told);
      }
    } catch (ReflectiveOperationException _) {
      // default handling
    }
  }
}
