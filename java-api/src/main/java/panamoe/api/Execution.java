package panamoe.api;

import java.util.Map;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.io.ConfigJson;

/**
 * The precision and the ranks of a layer or model.
 *
 * @param precision of activations, and of the weights that kernels read. A model that trains in
 *     BFLOAT16 also has FLOAT32 parameters, which optimizers change
 * @param ranks that hold it together; null for this rank alone
 */
public record Execution(Precision precision, Ranks ranks) {
  static {
    RequiredJava.check();
  }

  /**
   * Checks the precision.
   *
   * @throws PanamoeException.BadArgument if it is null
   */
  public Execution {
    Failures.run(() -> Argument.notNull("precision", precision));
  }

  /** On one rank in {@link Precision#FLOAT32}. */
  public static final Execution FLOAT32 = new Execution(Precision.FLOAT32, null);

  /** On one rank in {@link Precision#BFLOAT16}. */
  public static final Execution BFLOAT16 = new Execution(Precision.BFLOAT16, null);

  /** This precision on several ranks, all of which create the layer or model together. */
  public Execution over(Ranks several) {
    return new Execution(precision, several);
  }

  /**
   * The ranks on a device.
   *
   * @throws IllegalArgumentException if the ranks use another device
   */
  panamoe.parallel.Ranks on(Device device) {
    return ranks == null ? panamoe.parallel.Ranks.alone() : ranks.on(device);
  }

  /**
   * The ranks on a device, after a check that all create the same. Collective.
   *
   * @param config of the layer or model
   * @param others further settings to compare, by name
   * @throws IllegalArgumentException if the ranks use another device
   * @throws panamoe.comm.CommunicationException on every rank, if they create different things
   */
  panamoe.parallel.Ranks alikeOn(Device device, Record config, Map<String, ?> others) {
    panamoe.parallel.Ranks found = on(device);
    found.requireSame(
        () -> {
          Map<String, String> values = ConfigJson.values(ConfigJson.tree(config));
          values.put("precision", precision.toString());
          others.forEach((name, value) -> values.put(name, value.toString()));
          return values;
        });
    return found;
  }
}
