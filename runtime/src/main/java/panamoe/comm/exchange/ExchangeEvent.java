package panamoe.comm.exchange;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A flight-recorder event for one direction of a plan. */
@Name("panamoe.Exchange")
@Label("Exchange")
@Category({"Panamoe", "Communication"})
@StackTrace(false)
final class ExchangeEvent extends Event {
  @Label("Module")
  String place;

  @Label("Direction")
  @Description("forward or reverse")
  String direction;

  @Label("Strategy")
  String strategy;

  @Label("Rows sent")
  long rows;

  @Label("Bytes sent")
  @DataAmount
  long bytes;
}
