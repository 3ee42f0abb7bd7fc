package panamoe.lab.bench;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import panamoe.backend.Backend;
import panamoe.backend.KernelGraph;

/** The graph that other code captured last, to be timed without what surrounds it. */
final class LastGraph {
  private KernelGraph graph;

  /** {@code backend}, whose latest graph {@code last} keeps. */
  static Backend watch(Backend backend, LastGraph last) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (_, method, arguments) -> {
              try {
                Object result = method.invoke(backend, arguments);
                if (result instanceof KernelGraph made) {
                  last.graph = made;
                }
                return result;
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  KernelGraph graph() {
    return graph;
  }
}
