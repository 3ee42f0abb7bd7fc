package panamoe.open;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A flight-recorder event for the loading of a model's weights. */
@Name("panamoe.ModelLoad")
@Label("Model load")
@Category("Panamoe")
@StackTrace(false)
final class LoadEvent extends Event {
  @Label("Path")
  String path;

  @Label("Device")
  String device;

  @Label("Weights in memory")
  @DataAmount
  long bytes;

  LoadEvent(ModelFolder folder, String device) {
    this.path = folder.path().toString();
    this.device = device;
    begin();
  }
}
