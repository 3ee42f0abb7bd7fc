package panamoe.lab.load;

import java.time.Duration;

/**
 * The latency targets of a good request.
 *
 * @param first limit from its due time to its first chunk
 * @param next limit of the mean time between chunks
 */
record LatencyTargets(Duration first, Duration next) {
  boolean met(RequestResult outcome) {
    return outcome.kind() == RequestResult.Kind.DONE
        && outcome.firstNanos() <= first.toNanos()
        && outcome.nextNanos() <= next.toNanos();
  }
}
