package panamoe.harness.serve;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import panamoe.comm.CommunicationException;
import panamoe.engine.Generation;
import panamoe.engine.schedule.EngineThread;

/** Sends the response of a request while the engine generates. Used by its connection's thread. */
final class CompletionResponse {
  private static final byte[] COMMENT = ":\n\n".getBytes(StandardCharsets.UTF_8);
  private static final byte[] DONE = "data: [DONE]\n\n".getBytes(StandardCharsets.UTF_8);
  private static final byte[] SPACE = {'\n'};
  private static final byte[] NOTHING = {};

  private final HttpExchange call;
  private final CompletionRequest request;
  private final ResponseForm form;
  private final EngineThread engine;
  private final Connection connection;
  private final Duration ping;
  private final List<StreamedChoice> texts = new ArrayList<>();
  private OutputStream out; // null until the response has begun
  private boolean anyToken;

  CompletionResponse(
      HttpExchange call,
      CompletionRequest request,
      ResponseForm form,
      EngineThread engine,
      Connection connection,
      Duration ping) {
    this.call = call;
    this.request = request;
    this.form = form;
    this.engine = engine;
    this.connection = connection;
    this.ping = ping;
    for (int choice = 0; choice < request.choices(); choice++) {
      texts.add(new StreamedChoice());
    }
  }

  /**
   * Sends one response when all choices have ended. From the first token on, a waiting client is
   * sent white space, which fails if it has gone.
   *
   * @throws ApiError if a choice failed; it cannot be sent if the response has begun
   * @throws IOException if the client has gone
   */
  void whole() throws IOException, InterruptedException {
    for (int open = texts.size(); open > 0; ) {
      ChoiceEvent event = connection.events().take(ping);
      switch (event) {
        case null -> {
          requireEngine();
          if (anyToken) {
            space();
          }
        }
        case ChoiceEvent.Piece piece -> add(piece);
        case ChoiceEvent.Ended(int choice, Generation text) -> {
          end(choice, text);
          open--;
        }
        case ChoiceEvent.Failed(_, ApiError error) -> throw error;
      }
    }
    byte[] response = Json.bytes(form.whole(texts, usage()));
    if (out == null) {
      connection.send(() -> call.respondJson(response));
    } else {
      write(response, false);
      connection.send(out::close);
    }
  }

  private void space() throws IOException {
    if (out == null) {
      out = call.stream(false);
    }
    write(SPACE, true);
  }

  /**
   * Sends server-sent events, each as soon as possible.
   *
   * @throws IOException if the client has gone
   */
  void stream() throws IOException, InterruptedException {
    out = call.stream(true);
    write(COMMENT, true); // sends the headers
    try {
      boolean[] begun = new boolean[texts.size()];
      for (int open = texts.size(); open > 0; ) {
        ChoiceEvent event = connection.events().take(ping);
        switch (event) {
          case null -> {
            requireEngine();
            write(COMMENT, true);
          }
          case ChoiceEvent.Piece piece -> {
            begin(begun, piece.choice());
            anyToken = true;
            Object json = form.piece(piece);
            if (json != null) {
              chunk(json);
            } else {
              write(NOTHING, connection.events().isEmpty());
            }
          }
          case ChoiceEvent.Ended(int choice, Generation text) -> {
            end(choice, text);
            begin(begun, choice);
            chunk(form.end(choice, texts.get(choice)));
            open--;
          }
          case ChoiceEvent.Failed(_, ApiError error) -> throw error;
        }
      }
      if (request.delivery().usage()) {
        chunk(form.usage(usage()));
      }
      write(DONE, false);
    } catch (ApiError e) {
      event("event: error\ndata: ", e.body(), false);
    }
    connection.send(out::close);
  }

  private void begin(boolean[] begun, int choice) throws IOException {
    if (!begun[choice]) {
      begun[choice] = true;
      Object first = form.begin(choice);
      if (first != null) {
        chunk(first);
      }
    }
  }

  private void chunk(Object chunk) throws IOException {
    event("data: ", chunk, connection.events().isEmpty());
  }

  private void event(String start, Object data, boolean flush) throws IOException {
    byte[] json = Json.bytes(data);
    byte[] prefix = start.getBytes(StandardCharsets.UTF_8);
    byte[] event = new byte[prefix.length + json.length + 2];
    System.arraycopy(prefix, 0, event, 0, prefix.length);
    System.arraycopy(json, 0, event, prefix.length, json.length);
    event[event.length - 2] = '\n';
    event[event.length - 1] = '\n';
    write(event, flush);
  }

  private void write(byte[] bytes, boolean flush) throws IOException {
    connection.send(
        () -> {
          out.write(bytes);
          if (flush) {
            out.flush();
          }
        });
  }

  private void add(ChoiceEvent.Piece piece) {
    anyToken = true;
    texts.get(piece.choice()).add(piece);
  }

  private void end(int choice, Generation text) {
    if (text.end() == Generation.End.CANCELLED) {
      Throwable failure = engine.failure();
      throw failure == null ? stopped(ServerState.DRAINING) : failed(failure);
    }
    if (text.end() == Generation.End.DEADLINE && text.tokens() == 0 && !anyToken) {
      throw ApiError.late();
    }
    texts.get(choice).end(text);
  }

  private void requireEngine() {
    if (!engine.alive()) {
      throw stopped(ServerState.FAILED);
    }
  }

  /** The error of a sequence that had not started when the engine failed. */
  private static ApiError failed(Throwable failure) {
    return ApiError.unavailable(
        "the server stopped before the completion ended: " + reason(failure),
        ServerState.FAILED.word());
  }

  /** The reason of a failure, for clients. */
  static String reason(Throwable failure) {
    return failure instanceof IllegalArgumentException || failure instanceof CommunicationException
        ? failure.getMessage()
        : failure.getClass().getSimpleName();
  }

  /** The error of an unfinished sequence. */
  static ApiError stopped(ServerState state) {
    return ApiError.unavailable("the server stopped before the completion ended", state.word());
  }

  private Usage usage() {
    return Usage.of(texts.stream().map(StreamedChoice::generation).toList(), request.n());
  }
}
