package panamoe.lab.bench;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;

/** The calls that someone else recorded last, to be timed apart from what surrounds them. */
final class LastGraph {
  private KernelGraph recording;

  /** {@code backend}, whose recordings {@code last} then knows. */
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
