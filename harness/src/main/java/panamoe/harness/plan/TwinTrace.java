package panamoe.harness.plan;

import java.util.Locale;
import java.util.Map;
import panamoe.comm.VirtualSpan;
import panamoe.comm.exchange.Strategy;
import panamoe.plan.Cluster;
import panamoe.plan.ExchangeSimulation;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Timelines of the simulations for chrome://tracing and Perfetto: one process per exchange, one
 * thread per device.
 */
final class TwinTrace {
  private TwinTrace() {}

  static String of(Cluster cluster, Map<Strategy, ExchangeSimulation.Result> results) {
    ObjectNode trace = JsonNodeFactory.instance.objectNode();
    ArrayNode events = trace.putArray("traceEvents");
    results.forEach(
        (strategy, result) -> {
          int process = strategy.ordinal();
          name(events, "process_name", process, 0, strategy.name().toLowerCase(Locale.ROOT));
          for (int device = 0; device < cluster.devices(); device++) {
            String name = "device " + device + " of node " + device / cluster.node().devices();
            name(events, "thread_name", process, device, name);
          }
          result.spans().forEach(span -> span(events.addObject(), process, span));
        });
    return trace.toString();
  }

  /** A complete event, in microseconds. */
  private static void span(ObjectNode event, int process, VirtualSpan span) {
    event.put("name", span.what()).put("ph", "X").put("pid", process).put("tid", span.rank());
    event.put("ts", 1e6 * span.start()).put("dur", 1e6 * (span.end() - span.start()));
    ObjectNode busy = event.putObject("args");
    busy.put("near_out_us", 1e6 * span.busy().nearOut());
    busy.put("near_in_us", 1e6 * span.busy().nearIn());
    busy.put("far_out_us", 1e6 * span.busy().farOut());
    busy.put("far_in_us", 1e6 * span.busy().farIn());
  }

  private static void name(ArrayNode events, String kind, int process, int thread, String name) {
    ObjectNode event = events.addObject();
    event.put("name", kind).put("ph", "M").put("pid", process).put("tid", thread);
    event.putObject("args").put("name", name);
  }
}
