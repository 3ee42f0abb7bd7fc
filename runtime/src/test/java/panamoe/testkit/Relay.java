package panamoe.testkit;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Runs each call on a new thread, in sequence: alternately platform and virtual threads. */
public final class Relay implements AutoCloseable {
  private final ExecutorService platform =
      Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory());
  private final ExecutorService virtual = Executors.newVirtualThreadPerTaskExecutor();
  private boolean onVirtual;

  public <T> T next(Callable<T> call) throws Exception {
    onVirtual = !onVirtual;
    return (onVirtual ? virtual : platform).submit(call).get();
  }

  @Override
  public void close() {
    platform.close();
    virtual.close();
  }
}
