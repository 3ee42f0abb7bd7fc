package panamoe.harness.serve.completion;

import java.io.IOException;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.Supplier;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.Tools;
import panamoe.engine.routes.RoutingException;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.log.RequestLog;
import panamoe.harness.serve.model.ServedModel;

/**
 * Runs the sequences of a request and sends its response, for every API. Thread-safe.
 *
 * @param engine gives the engine, or throws an ApiError until the model is loaded
 * @param log logs completions; null for no log
 */
public record Completions(
    ServedModel model,
    Limits limits,
    Admission admission,
    Metrics metrics,
    Connections connections,
    Supplier<EngineThread> engine,
    RequestLog log) {
  /**
   * Answers a conversation.
   *
   * @param fields the others, which have the names of chat completions
   * @param logprobs most probable tokens to report; -1 for none
   */
  public void converse(
      HttpExchange call,
      Fields fields,
      Conversation conversation,
      int logprobs,
      Function<CompletionRequest, ResponseForm> form)
      throws IOException, InterruptedException {
    List<int[]> prompts = List.of(conversation.tokens());
    CompletionRequest request =
        read(call, fields, prompts, conversation.tools(), logprobs, conversation.chat().ends());
    write(call, fields, request, form.apply(request), conversation::choice);
  }

  /**
   * Reads the fields that are left.
   *
   * @param logprobs most probable tokens to report; -1 for none
   */
  public CompletionRequest read(
      HttpExchange call,
      Fields fields,
      List<int[]> prompts,
      Tools tools,
      int logprobs,
      ChatFormat.Ends ends)
      throws InterruptedException {
    try {
      return new CompletionFields(fields, model)
          .read(prompts, tools, logprobs, limits.defaultMaxTokens(), call, ends);
    } catch (InterruptedException e) {
      metrics.cancelled("disconnect");
      throw e;
    }
  }

  /** The head of a new response to a request. */
  public ResponseForm.Head head(String prefix, Fields fields) {
    return new ResponseForm.Head(
        prefix + UUID.randomUUID().toString().replace("-", ""),
        Instant.now().getEpochSecond(),
        model.requireNamed(fields),
        model.fingerprint());
  }

  /**
   * Runs a request's sequences, and sends the response.
   *
   * @param choices begins each choice
   * @throws IOException if the client has gone
   */
  public void write(
      HttpExchange call,
      Fields fields,
      CompletionRequest request,
      ResponseForm form,
      Supplier<StreamedChoice> choices)
      throws IOException, InterruptedException {
    EngineThread ready = engine.get();
    RequestLog.Request logged =
        log == null ? null : log.request(form.head().id(), form.head().created(), fields);
    try (Admission.Slots slots = admission.admit(request)) {
      Connection connection = connections.open(call::cut);
      RunningSequences sequences =
          new RunningSequences(
              ready, request, connection.events(), slots, metrics, call.record(), logged);
      try {
        start(sequences, request);
        CompletionResponse response =
            new CompletionResponse(
                call, request, form, choices, ready, connection, limits.http().ping());
        if (request.delivery().stream()) {
          response.stream();
        } else {
          response.whole();
        }
      } catch (IOException | InterruptedException e) {
        metrics.cancelled(connection.slow() ? "slow_reader" : "disconnect");
        throw e;
      } finally {
        sequences.cancel();
        connections.closed(connection);
      }
    }
  }

  private static void start(RunningSequences sequences, CompletionRequest request) {
    try {
      sequences.start();
    } catch (RoutingException e) {
      String param = request.routing().topK().isEmpty() ? "moe" : "moe.top_k";
      throw ApiError.invalid(e.getMessage(), param);
    } catch (IllegalArgumentException e) {
      throw ApiError.invalid(e.getMessage(), null);
    } catch (IllegalStateException _) {
      throw CompletionResponse.stopped(ServerState.FAILED);
    }
  }
}
