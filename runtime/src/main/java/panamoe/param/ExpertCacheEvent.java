package panamoe.param;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A flight-recorder event for what a step used of an {@link ExpertCache}. */
@Name("panamoe.ExpertCache")
@Label("Expert cache")
@Category({"Panamoe", "Engine"})
@StackTrace(false)
final class ExpertCacheEvent extends Event {
  @Label("Tokens of the step")
  int tokens;

  @Label("Uses of an expert")
  long uses;

  @Label("Uses of an expert that was in memory")
  long hits;

  @Label("Bytes read")
  @DataAmount
  long bytes;
}
