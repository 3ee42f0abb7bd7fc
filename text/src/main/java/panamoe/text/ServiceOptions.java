package panamoe.text;

import java.time.Duration;
import panamoe.api.Device;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * Options of a text service.
 *
 * @param waiting most requests that wait to run; further ones are refused
 * @param drain how long {@link TextService#close} lets requests go on; zero to end them at once
 * @param device of a service that opens its model
 * @param threads of that device, 0 to 1024; 0 for one per processor
 */
public record ServiceOptions(int waiting, Duration drain, Device.Type device, int threads) {
  /** 1,000 waiting requests, 30 seconds at the end, on the best device with all processors. */
  public static final ServiceOptions USUAL =
      new ServiceOptions(1000, Duration.ofSeconds(30), Device.Type.AUTO, 0);

  /**
   * Checks the values.
   *
   * @throws panamoe.api.PanamoeException.BadArgument if a number or the duration is negative, or
   *     the duration or the device null
   */
  public ServiceOptions {
    Failures.run(
        () -> {
          Argument.require(waiting >= 0, "waiting", waiting, "0 or more");
          Argument.require(
              !Argument.notNull("drain", drain).isNegative(), "drain", drain, "0 or more");
          Argument.notNull("device", device);
          Argument.require(threads >= 0, "threads", threads, "0 to 1024");
        });
  }

  /** These options with at most {@code value} waiting requests. */
  public ServiceOptions withWaiting(int value) {
    return new ServiceOptions(value, drain, device, threads);
  }

  /** These options with another time for requests at the end. */
  public ServiceOptions withDrain(Duration value) {
    return new ServiceOptions(waiting, value, device, threads);
  }

  /** These options with another device. */
  public ServiceOptions withDevice(Device.Type type, int count) {
    return new ServiceOptions(waiting, drain, type, count);
  }
}
