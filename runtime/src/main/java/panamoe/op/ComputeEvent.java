package panamoe.op;

import java.util.function.Supplier;
import jdk.jfr.Category;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import panamoe.backend.Backend;

/**
 * A flight-recorder event for a phase of a rank's computation, to compare with its exchanges. Off
 * unless a recording asks for it, because the host then waits for each phase.
 */
@Name("panamoe.Compute")
@Label("Compute")
@Category({"Panamoe", "Computation"})
@StackTrace(false)
@Enabled(false)
public final class ComputeEvent extends Event {
  @Label("Module")
  private final String place;

  private ComputeEvent(String place) {
    this.place = place;
    begin();
  }

  /** Computes {@code work} within an event; if the pass records, its backward too. */
  public static <T> T around(Pass pass, String place, Supplier<T> work) {
    ComputeEvent[] backward = new ComputeEvent[1];
    pass.record(() -> backward[0].finish(pass.backend()));
    ComputeEvent forward = new ComputeEvent(place);
    T outcome = work.get();
    forward.finish(pass.backend());
    pass.record(() -> backward[0] = new ComputeEvent(place + " backward"));
    return outcome;
  }

  /** Like {@link #around(Pass, String, Supplier)}, without a backward. */
  public static void around(Backend backend, String place, Runnable work) {
    ComputeEvent event = new ComputeEvent(place);
    work.run();
    event.finish(backend);
  }

  private void finish(Backend backend) {
    if (isEnabled()) {
      backend.synchronize();
      commit();
    }
  }
}
