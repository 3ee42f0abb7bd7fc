package panamoe.lab.load;

import java.time.Duration;

/**
 * What a request has to meet to count as good.
 *
 * @param first most time from when it was due to its first piece of text
 * @param next most time from piece to piece, on average over the request
 */
record Targets(Duration first, Duration next) {
  boolean met(RequestResult outcome) {
    return outcome.kind() == RequestResult.Kind.DONE
        && outcome.firstNanos() <= first.toNanos()
        && outcome.nextNanos() <= next.toNanos();
  }
}
