package panamoe.harness.serve.completion;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import panamoe.comm.CommunicationException;
import panamoe.conversation.reply.Reply;
import panamoe.engine.Generation;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.http.Json;

/** Sends the response of a request while the engine generates. Used by its connection's thread. */
public final class CompletionResponse {
  private static final byte[] COMMENT = ":\n\n".getBytes(StandardCharsets.UTF_8);
  private static final byte[] SPACE = {'\n'};
  private static final byte[] BLANK = {' '}; // before a line of JSON

  private final HttpExchange call;
  private final CompletionRequest request;
  private final ResponseForm form;
  private final EngineThread engine;
  private final Connection connection;
  private final Duration ping;
  private final List<StreamedChoice> texts;
  private OutputStream out; // null until the response has begun
  private boolean anyToken;
  private int open; // choices that have not ended

  /**
   * @param choices begins each choice
   */
  CompletionResponse(
      HttpExchange call,
      CompletionRequest request,
      ResponseForm form,
      Supplier<StreamedChoice> choices,
      EngineThread engine,
      Connection connection,
      Duration ping) {
    this.call = call;
    this.request = request;
    this.form = form;
    this.engine = engine;
    this.connection = connection;
    this.ping = ping;
    this.texts = Stream.generate(choices).limit(request.choices()).toList();
    this.open = texts.size();
  }

  /**
   * Sends one response when all choices have ended. From the first token on, a waiting client is
   * sent white space.
   *
   * @throws ApiError if a choice failed; it cannot be sent if the response has begun
   * @throws IOException if the client has gone
   */
  void whole() throws IOException, InterruptedException {
    while (open > 0) {
      ChoiceEvent event = connection.events().take(ping);
      switch (event) {
        case null -> {
          requireEngine();
          if (anyToken) {
            space();
          }
        }
        case ChoiceEvent.Piece piece -> form.read(add(piece), piece.sampled());
        case ChoiceEvent.Ended(int choice, Generation text) ->
            form.read(end(choice, text), List.of());
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
      out = call.stream(HttpExchange.JSON);
    }
    write(SPACE, true);
  }

  /**
   * Sends server-sent events, each as soon as possible.
   *
   * @throws IOException if the client has gone
   */
  void stream() throws IOException, InterruptedException {
    out = call.stream(form.lines() ? HttpExchange.LINES : HttpExchange.EVENTS);
    byte[] comment = form.lines() ? BLANK : COMMENT;
    write(comment, true); // sends the headers
    try {
      send(form.open());
      boolean[] begun = new boolean[texts.size()];
      while (open > 0) {
        ChoiceEvent event = connection.events().take(ping);
        switch (event) {
          case null -> {
            requireEngine();
            write(comment, true);
          }
          case ChoiceEvent.Piece piece -> {
            begin(begun, piece.choice());
            send(form.piece(piece, add(piece)));
          }
          case ChoiceEvent.Ended(int choice, Generation text) -> {
            Reply.Read rest = end(choice, text);
            begin(begun, choice);
            send(form.end(choice, texts.get(choice), rest));
          }
          case ChoiceEvent.Failed(_, ApiError error) -> throw error;
        }
      }
      send(form.close(texts, usage()));
    } catch (ApiError e) {
      call.done();
      send(form.error(e));
    }
    connection.send(out::close);
  }

  private void begin(boolean[] begun, int choice) throws IOException {
    if (!begun[choice]) {
      begun[choice] = true;
      send(form.begin(choice));
    }
  }

  /** Sends events, and all that was held back if the engine has no further ones yet. */
  private void send(List<ServerEvent> events) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    events.forEach(event -> bytes.writeBytes(event.bytes()));
    write(bytes.toByteArray(), connection.events().isEmpty());
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

  private Reply.Read add(ChoiceEvent.Piece piece) {
    anyToken = true;
    return texts.get(piece.choice()).add(piece);
  }

  private Reply.Read end(int choice, Generation text) {
    if (text.end() == Generation.End.CANCELLED) {
      throw cancelled(engine);
    }
    if (text.end() == Generation.End.DEADLINE && text.tokens() == 0 && !anyToken) {
      throw ApiError.late();
    }
    if (--open == 0) {
      call.done();
    }
    return texts.get(choice).end(text);
  }

  private void requireEngine() {
    if (!engine.alive()) {
      throw stopped(ServerState.FAILED);
    }
  }

  /** The error of a sequence that the engine cancelled: it stopped, or failed before its start. */
  public static ApiError cancelled(EngineThread engine) {
    Throwable failure = engine.failure();
    return failure == null
        ? stopped(ServerState.DRAINING)
        : ApiError.unavailable(
            "the server stopped before the completion ended: " + reason(failure),
            ServerState.FAILED.word());
  }

  /** The reason of a failure, for clients. */
  public static String reason(Throwable failure) {
    return failure instanceof IllegalArgumentException || failure instanceof CommunicationException
        ? failure.getMessage()
        : failure.getClass().getSimpleName();
  }

  /** The error of an unfinished sequence. */
  public static ApiError stopped(ServerState state) {
    return ApiError.unavailable("the server stopped before the completion ended", state.word());
  }

  private Usage usage() {
    return Usage.of(texts, request.n());
  }
}
