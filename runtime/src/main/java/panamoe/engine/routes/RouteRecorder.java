package panamoe.engine.routes;

import java.util.Arrays;
import java.util.List;
import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * Gives the flight recorder the balance of experts, each {@link #STEPS} steps. Counts nothing while
 * nobody records. Used by one thread.
 */
public final class RouteRecorder implements AutoCloseable {
  /** The experts of a layer in some steps. */
  @Name("panamoe.Experts")
  @Label("Balance of experts")
  @Category({"Panamoe", "Engine"})
  @StackTrace(false)
  private static final class ExpertsEvent extends Event {
    @Label("Layer")
    int layer;

    @Label("Experts")
    int experts;

    @Label("Experts without a token")
    int unused;

    @Label("Choices of an expert by a token")
    long routes;

    @Label("Choices of the most chosen expert, as a multiple of the mean")
    double imbalance;

    @Label("Entropy of the choices in bits")
    double entropy;
  }

  static final int STEPS = 100;

  private final ExpertsEvent asked = new ExpertsEvent();
  private final List<RoutedLayer> layers;
  private RouteCounts counts;
  private int steps;

  public RouteRecorder(List<RoutedLayer> layers) {
    this.layers = layers;
    this.counts = new RouteCounts(layers);
  }

  /** Counts a computed step. */
  public void stepped(RouteTables routes) {
    if (asked.isEnabled()) {
      routes.addTo(counts);
      if (++steps == STEPS) {
        close();
      }
    }
  }

  /** Reports the steps since the last report. */
  @Override
  public void close() {
    if (steps > 0) {
      counts.statistics().layers().forEach(RouteRecorder::report);
      counts = new RouteCounts(layers);
      steps = 0;
    }
  }

  private static void report(RouteStatistics.Layer layer) {
    ExpertsEvent event = new ExpertsEvent();
    event.layer = layer.layer();
    event.experts = layer.experts();
    event.unused = (int) Arrays.stream(layer.tokens()).filter(count -> count == 0).count();
    event.routes = layer.routes();
    event.imbalance = layer.imbalance();
    event.entropy = layer.entropy();
    event.commit();
  }
}
