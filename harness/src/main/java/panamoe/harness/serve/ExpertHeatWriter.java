package panamoe.harness.serve;

import java.io.IOException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.schedule.EngineThread;
import panamoe.io.FileErrors;
import panamoe.open.ExpertHeat;

/** Saves how often rows chose each expert: every minute, and at the end of the server. */
final class ExpertHeatWriter implements AutoCloseable {
  private static final long PERIOD_SECONDS = 60;
  private static final long ANSWER_SECONDS = 5;

  private final ExpertHeat heat;
  private final EngineThread engine;
  private final Consumer<String> log;
  private final Thread thread;
  private long saved; // routes in the file
  private boolean refused;

  /**
   * @param engine open until this is closed, unless it fails
   * @param log receives one warning if the file cannot be written
   */
  ExpertHeatWriter(ExpertHeat heat, EngineThread engine, Consumer<String> log) {
    this.heat = heat;
    this.engine = engine;
    this.log = log;
    this.thread = Thread.ofVirtual().name("heat").start(this::keep);
  }

  private void keep() {
    try {
      while (true) {
        TimeUnit.SECONDS.sleep(PERIOD_SECONDS);
        save();
      }
    } catch (InterruptedException _) {
      // closed
    }
  }

  private synchronized void save() throws InterruptedException {
    try {
      RouteStatistics now = engine.routeStatistics().get(ANSWER_SECONDS, TimeUnit.SECONDS);
      long routes = now.layers().stream().mapToLong(RouteStatistics.Layer::routes).sum();
      if (routes != saved) {
        heat.save(now);
        saved = routes;
      }
    } catch (ExecutionException | TimeoutException | IllegalStateException _) {
      // The engine has failed, or is in a long step: the next save has all counts.
    } catch (IOException e) {
      if (!refused) {
        refused = true;
        log.accept("the heat of experts cannot be saved: " + FileErrors.sentence(e));
      }
    }
  }

  @Override
  public void close() {
    thread.interrupt();
    try {
      thread.join();
      save();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt(); // shutdown does not wait
    }
  }
}
