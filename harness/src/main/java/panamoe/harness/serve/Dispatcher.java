package panamoe.harness.serve;

import java.io.IOException;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import panamoe.harness.serve.http.Access;
import panamoe.harness.serve.http.AccessRecord;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.ApiKey;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.http.Quota;
import panamoe.harness.serve.log.AccessLog;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.messages.MessagesForm;

/**
 * Brings requests to the endpoints of their paths: checks keys and quotas, and sends errors.
 * Thread-safe.
 */
final class Dispatcher implements AutoCloseable {
  private final Routes routes;
  private final Access access;
  private final Set<String> keyless;
  private final Metrics metrics;
  private final AccessLog accesses;
  private final Consumer<String> log;
  // Probes do not wait for other requests.
  private final ExecutorService probes =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("probes").factory());
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final AtomicInteger responding = new AtomicInteger();

  /**
   * @param page the page's paths: browsers get a key from it
   * @param accesses logs requests; null for no log
   * @param log receives messages for the operator
   */
  Dispatcher(
      Routes routes,
      Access access,
      Set<String> page,
      Metrics metrics,
      AccessLog accesses,
      Consumer<String> log) {
    this.routes = routes;
    this.access = access;
    this.metrics = metrics;
    this.accesses = accesses;
    this.log = log;
    this.keyless = new HashSet<>(page);
    keyless.addAll(Set.of(ApiServer.HEALTH, ApiServer.LIVE)); // orchestrators have no key
  }

  /** Has a request answered by a thread of its own. */
  void handle(HttpExchange call) {
    if (isProbe(call.path()) && !call.hasBody()) {
      probes.execute(() -> respond(call.withoutWaiting()));
    } else {
      threads.execute(() -> respond(call));
    }
  }

  private static boolean isProbe(String path) {
    return path.equals(ApiServer.HEALTH) || path.equals(ApiServer.LIVE);
  }

  private void respond(HttpExchange call) {
    responding.incrementAndGet();
    try (call) {
      try {
        Routes.Route route = routes.of(call.path());
        if (StateEndpoint.isOfAnthropic(call)) {
          call.errors(MessagesForm::failure);
        } else if (route != null) {
          call.errors(route.errors());
        }
        ApiKey key = access.of(call, isProbe(call.path()), keyless.contains(call.path()));
        call.record().by(key);
        Routes.Endpoint endpoint = Routes.endpoint(route, call);
        try (Quota.Share _ = key.quota().begin(call.hasBody())) {
          endpoint.handle(call);
        }
      } catch (ApiError e) {
        if (e.status() == 429) {
          metrics.refused(e.body().error().code());
        }
        call.respond(e);
      } catch (OutOfMemoryError _) {
        call.respond(ApiError.outOfMemory());
      } catch (RuntimeException | StackOverflowError e) {
        log.accept(
            "request "
                + call.record().id()
                + " to "
                + routes.nameOf(call.path())
                + " failed: "
                + place(e));
        call.respond(ApiError.internal("the server failed to serve this request"));
      }
      call.end();
    } catch (IOException | InterruptedException | OutOfMemoryError _) {
      // The connection is closed.
    } finally {
      responding.decrementAndGet();
    }
  }

  /** A request has ended. */
  void ended(AccessRecord record) {
    String route = routes.nameOf(record.path());
    metrics.answered(route, record.status());
    if (accesses != null) {
      accesses.put(record.line(route));
    }
  }

  /** Where it was thrown; its message may quote a request. */
  private static String place(Throwable failure) {
    StackTraceElement[] trace = failure.getStackTrace();
    return failure.getClass().getName() + (trace.length == 0 ? "" : " at " + trace[0]);
  }

  /** The requests that are being answered. */
  int responding() {
    return responding.get();
  }

  @Override
  public void close() {
    probes.shutdownNow();
    threads.shutdownNow();
  }
}
