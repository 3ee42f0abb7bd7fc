package panamoe.harness.serve;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.HttpExchange;

/** The server's paths. */
final class Routes {
  /** Handles requests of one path. */
  @FunctionalInterface
  interface Endpoint {
    void handle(HttpExchange call) throws IOException, InterruptedException;
  }

  /**
   * @param method null for an endpoint that checks it
   * @param errors the API's form of an error, with the request's id
   */
  record Route(String method, Endpoint endpoint, BiFunction<ApiError, String, Object> errors) {}

  private final Map<String, Route> routes = new HashMap<>();

  void add(String method, String path, Endpoint endpoint) {
    add(method, path, endpoint, (error, _) -> error.body());
  }

  void add(
      String method, String path, Endpoint endpoint, BiFunction<ApiError, String, Object> errors) {
    routes.put(path, new Route(method, endpoint, errors));
  }

  /** The method of each path; null for several. */
  Map<String, String> methods() {
    Map<String, String> methods = new TreeMap<>();
    routes.forEach((path, route) -> methods.put(path, route.method));
    return methods;
  }

  /** The route of a path, or of all that begin like /v1/models/; null for no route. */
  Route of(String path) {
    return routes.getOrDefault(path, routes.get(start(path)));
  }

  /** The beginning of a path with a name, such as /v1/models/. */
  private static String start(String path) {
    List<String> names = List.of(path.split("/", 4));
    return String.join("/", names.subList(0, Math.min(3, names.size()))) + "/";
  }

  /**
   * The endpoint of a request.
   *
   * @param route null for no route
   * @throws ApiError 404 without a route, 405 for another method
   */
  static Endpoint endpoint(Route route, HttpExchange call) {
    if (route == null) {
      throw ApiError.notFound("endpoint " + call.path());
    }
    String method = call.method();
    boolean head = method.equals("HEAD") && "GET".equals(route.method());
    if (route.method() != null && !head && !route.method().equals(method)) {
      throw ApiError.wrongMethod(method, route.method());
    }
    return route.endpoint();
  }

  /** The path without names that a client chose. */
  String nameOf(String path) {
    String start = start(path);
    return routes.containsKey(path) ? path : routes.containsKey(start) ? start + "ID" : "other";
  }
}
