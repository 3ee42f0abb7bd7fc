package panamoe.testkit;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import panamoe.backend.Backend;

/** A backend that fails after a given number of allocations and counts those not yet freed. */
public final class ScarceMemory {
  private final Backend backend;
  private int left;
  private int held;

  public ScarceMemory(Backend real, int allocations) {
    this.left = allocations;
    this.backend =
        (Backend)
            Proxy.newProxyInstance(
                Backend.class.getClassLoader(),
                new Class<?>[] {Backend.class},
                (_, method, arguments) -> {
                  count(method.getName());
                  return call(real, method, arguments);
                });
  }

  public Backend backend() {
    return backend;
  }

  /** The number of allocations that were not freed. */
  public int held() {
    return held;
  }

  private void count(String method) {
    if (method.equals("allocate")) {
      if (left-- == 0) {
        throw new OutOfMemoryError("no more");
      }
      held++;
    } else if (method.equals("free")) {
      held--;
    }
  }

  private static Object call(Backend real, Method method, Object[] arguments) throws Throwable {
    try {
      return method.invoke(real, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
