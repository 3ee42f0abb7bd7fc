package panamoe.lab.bench;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;

/** Remembers the last graph that a backend captured, to time it without its surroundings. */
final class LastGraph {
  private KernelGraph recording;

  /** Wraps {@code backend} so that {@code last} gets its captures. */
  static Backend watch(Backend backend, LastGraph last) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, arguments) -> {
              try {
                Object result = method.invoke(backend, arguments);
                if (result instanceof KernelGraph made) {
                  last.recording = made;
                }
                return result;
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  KernelGraph recording() {
    return recording;
  }
}
