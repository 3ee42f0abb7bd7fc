package panamoe.harness.serve.http;

import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.io.Words;

/** A request's error, in OpenAI's form. Its message goes to the client. */
public final class ApiError extends RuntimeException {
  /** The error as JSON. */
  public record Body(Error error) {
    public record Error(String message, String type, String param, String code) {}
  }

  private static final String INVALID = "invalid_request_error";

  private final int status;
  private final Body body;
  private final Map<String, String> headers = new LinkedHashMap<>();

  private ApiError(int status, String message, String type, String param, String code) {
    super(message, null, false, false);
    this.status = status;
    this.body = new Body(new Body.Error(message, type, param, code));
  }

  private static ApiError of(int status, String message, String type, String code) {
    return new ApiError(status, message, type, null, code);
  }

  private ApiError with(String header, String value) {
    headers.put(header, value);
    return this;
  }

  public int status() {
    return status;
  }

  public Body body() {
    return body;
  }

  /** Headers of the response in addition to the usual ones. */
  public Map<String, String> headers() {
    return headers;
  }

  /**
   * 400.
   *
   * @param param the wrong field; null for the whole request
   */
  public static ApiError invalid(String message, String param) {
    return new ApiError(400, message, INVALID, param, "invalid_value");
  }

  /** 400 for a field that cannot be ignored without changing the result. */
  public static ApiError unsupported(String message, String param) {
    return new ApiError(400, message, INVALID, param, "unsupported_parameter");
  }

  /** 400 for a thread, after which Anthropic's clients send the whole conversation. */
  public static ApiError thread() {
    String message = "thread is not supported: send the whole conversation in messages";
    return new ApiError(400, message, INVALID, "thread", "thread_unsupported_request");
  }

  public static ApiError tooLong(String message) {
    return of(400, message, INVALID, "context_length_exceeded");
  }

  static ApiError unauthorized() {
    String message = "a key of this server is needed: Authorization: Bearer KEY, or x-api-key: KEY";
    return of(401, message, "authentication_error", "invalid_api_key")
        .with("WWW-Authenticate", "Bearer");
  }

  /** A request that violates the HTTP standard, or whose head is too large. */
  static ApiError protocol(int status, String reason) {
    String message = "the request is wrong as HTTP: " + reason;
    return of(status, message, INVALID, "invalid_http");
  }

  /** A host name that a page of another site may have used. */
  static ApiError foreignHost(String host) {
    String message =
        Words.of(
            "this server has no keys and does not answer to the name %s: start it with --allowed-host %s",
            host, host);
    return of(403, message, "permission_error", "foreign_host");
  }

  /** A browser's request for a page of another site. */
  static ApiError foreign(String origin) {
    String message = "a page of " + origin + " may not use this server, which has no keys";
    return of(403, message, "permission_error", "foreign_page");
  }

  public static ApiError noModel(String asked, String served) {
    String message =
        (asked.isEmpty() ? "the model's name is empty" : "there is no model " + asked)
            + "; this server has "
            + served;
    return new ApiError(404, message, INVALID, "model", "model_not_found");
  }

  /**
   * 404.
   *
   * @param param the field that names the response; null for the path
   */
  public static ApiError noResponse(String message, String param) {
    return new ApiError(404, message, INVALID, param, "response_not_found");
  }

  public static ApiError notFound(String path) {
    return of(404, "there is no " + path, INVALID, "not_found");
  }

  public static ApiError wrongMethod(String method, String allowed) {
    String message = method + " is not for this path; " + allowed + " is";
    return of(405, message, INVALID, "method_not_allowed")
        .with("Allow", allowed.equals("GET") ? "GET, HEAD" : allowed);
  }

  static ApiError tooLarge(long most) {
    String message = "the request has more than " + most + " bytes";
    return of(413, message, INVALID, "request_too_large");
  }

  /**
   * 429.
   *
   * @param retryMillis when there will probably be room
   * @param retry whether retrying makes sense
   */
  public static ApiError overloaded(String message, long retryMillis, boolean retry) {
    return refused(message, "overloaded_error", "queue_full", retryMillis, retry);
  }

  /**
   * 429 for a key that has used what it may.
   *
   * @param retryMillis when it may ask again
   */
  static ApiError limited(String message, long retryMillis) {
    return refused(message, "rate_limit_error", "rate_limit_exceeded", retryMillis, true);
  }

  private static ApiError refused(
      String message, String type, String code, long retryMillis, boolean retry) {
    return of(429, message, type, code)
        .with("Retry-After", "" + Math.ceilDiv(retryMillis, 1000))
        .with("retry-after-ms", "" + retryMillis)
        .with("x-should-retry", "" + retry);
  }

  public static ApiError internal(String message) {
    return of(500, message, "server_error", "internal_error");
  }

  /**
   * 503.
   *
   * @param code {@code loading}, {@code draining} or {@code failed}
   */
  public static ApiError unavailable(String message, String code) {
    return of(503, message, "server_error", code).with("Retry-After", "5");
  }

  public static ApiError outOfMemory() {
    return unavailable("the server has not enough memory for this request", "out_of_memory");
  }

  public static ApiError late() {
    return of(504, "the time was over before the first token", "timeout_error", "timeout");
  }
}
