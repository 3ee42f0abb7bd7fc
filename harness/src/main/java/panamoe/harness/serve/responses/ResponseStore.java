package panamoe.harness.serve.responses;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import tools.jackson.databind.JsonNode;

/**
 * Responses that later requests may continue, in memory. Those that were used least recently are
 * forgotten. A response belongs to the user who made it. Thread-safe.
 */
public final class ResponseStore {
  /** The most responses that one may continue, which continue each other. */
  static final int MOST_CHAINED = 1000;

  private static final int MOST = 10_000;

  /**
   * A response.
   *
   * @param previous the id of the one that it continues; empty for none
   * @param input an object with the items of its request
   * @param response as it was sent
   */
  record Kept(String id, String user, String previous, byte[] input, byte[] response) {
    private long bytes() {
      return 500L + input.length + response.length; // with its entry in the map
    }

    /** The items of its request. */
    Collection<JsonNode> input(HttpExchange call) {
      return call.object(input).get("input").values();
    }

    /** The items of its input and output. */
    List<JsonNode> items(HttpExchange call) {
      List<JsonNode> items = new ArrayList<>(input(call));
      items.addAll(call.object(response).get("output").values());
      return items;
    }
  }

  private final int most;
  private final long mostBytes;
  private final Map<String, Kept> kept = new LinkedHashMap<>(16, 0.75f, true); // by use
  private long bytes;

  public ResponseStore() {
    this(MOST, Math.min(64 << 20, Runtime.getRuntime().maxMemory() / 16));
  }

  public ResponseStore(int most, long mostBytes) {
    this.most = most;
    this.mostBytes = mostBytes;
  }

  /** Keeps a response, unless it alone takes more bytes than all may. */
  synchronized void put(Kept response) {
    if (response.bytes() > mostBytes) {
      return;
    }
    kept.put(response.id, response);
    bytes += response.bytes();
    Iterator<Kept> oldest = kept.values().iterator();
    while (kept.size() > most || bytes > mostBytes) {
      bytes -= oldest.next().bytes();
      oldest.remove();
    }
  }

  /**
   * A response of a user.
   *
   * @param param the request's field with the id; null for the path
   * @throws ApiError 404 if it was forgotten, or the user never had it
   */
  synchronized Kept get(String user, String id, String param) {
    Kept found = kept.get(id);
    if (found == null || !found.user.equals(user)) {
      throw ApiError.noResponse(
          id.isEmpty()
              ? "the response's id is empty"
              : "there is no response "
                  + Fields.shown(id)
                  + ": it was not stored, or was forgotten",
          param);
    }
    return found;
  }

  /**
   * A response and all that it continues, the oldest first. A response continues an older one, so
   * that there is an end.
   *
   * @throws ApiError 404 if one of them was forgotten; 400 if they are too many
   */
  synchronized List<Kept> chain(String user, String id, String param) {
    Deque<Kept> chain = new ArrayDeque<>();
    for (String next = id; !next.isEmpty(); next = chain.getFirst().previous) {
      if (chain.size() == MOST_CHAINED) {
        throw ApiError.invalid(
            "more than " + MOST_CHAINED + " responses continue each other: send them as input",
            param);
      }
      chain.addFirst(get(user, next, param));
    }
    return List.copyOf(chain);
  }

  /** Forgets a response. */
  synchronized void remove(String user, String id) {
    bytes -= get(user, id, null).bytes();
    kept.remove(id);
  }

  /** The memory that responses take. */
  synchronized long bytes() {
    return bytes;
  }
}
